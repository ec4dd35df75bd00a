import type { DatasourceKind } from '../../plan.ts';

/** Our own folder in a bucket's folder; it is no part of the tree. */
const privateFolder = '.cellar';

/** Whether a path is no part of the tree: our own folder, in each bucket where buckets are folders. */
export function isPrivate(path: string, kind: DatasourceKind): boolean {
  if (isBelow(path, 0)) return true;
  const slash = path.indexOf('/');
  return kind === 'buckets' && slash > 0 && isBelow(path, slash + 1);
}

function isBelow(path: string, at: number): boolean {
  return (
    path.startsWith(privateFolder, at) && (path.length === at + privateFolder.length || path[at + privateFolder.length] === '/')
  );
}
