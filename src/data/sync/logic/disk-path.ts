import { isEscaped, unescapeName } from '#lib/escaped-name.ts';

/** Where a path of the tree lies on the disk. */
export function diskPath(root: string, path: string): string | Buffer {
  if (path === '') return root;
  return isEscaped(path) ? Buffer.concat([Buffer.from(`${root}/`), unescapeName(path)]) : `${root}/${path}`;
}
