import { parentOf } from '#lib/tree-path.ts';
import { look, type Seen } from './disk.ts';
import type { Hints } from './hints.ts';
import type { KnownTree } from './known-tree.ts';
import { type Looked, outermost, type Plan, planChanges } from './plan-changes.ts';
import type { RootFolder } from './root-folder.ts';

/**
 * Looks at the paths of hints, on the disk and in the index, and says what to do about them; `undefined` when the datasource's folder is
 * not there or not the one that was compared, so that nothing can be said. Errors: those of the index.
 */
export async function planHints(
  root: RootFolder,
  known: KnownTree,
  { paths: hinted, etags, areFoldersNew }: Hints,
): Promise<Plan | undefined> {
  const seen = new Map<string, Seen>();
  for (const path of hinted) {
    // Parents too: they may be new as well, their time has changed, and when one is gone all below it is.
    for (let at = path; !seen.has(at); at = parentOf(at)) seen.set(at, look(root.path, at));
  }
  if (seen.size === 0) return { changes: [], unknownFolders: [] };
  // After the looks: a folder that went away between them seems to hold nothing.
  if (!root.isSame()) return undefined;
  const looked = (await known.find([...seen.keys()])).map(
    ({ path, entry, nodes }): Looked => ({
      path,
      seen: seen.get(path) ?? 'unknown',
      known: entry,
      nodes,
      isTold: etags?.has(path) ?? false,
    }),
  );
  // Another root than the one that was compared, and its content, is the matter of full passes.
  const { changes, unknownFolders } = planChanges(looked.filter((one) => one.path !== '' || isSameFolder(one)));
  // A removed folder's inode is given to the next one, so the same inode does not mean the same folder.
  const named = areFoldersNew ? [...new Set(hinted)].filter((path) => isFolder(seen.get(path))) : [];
  return { changes, unknownFolders: outermost([...unknownFolders, ...named].filter((path) => path !== '')) };
}

function isSameFolder({ seen, known }: Looked): boolean {
  return typeof seen === 'object' && seen.inode === known?.inode;
}

function isFolder(seen: Seen | undefined): boolean {
  return typeof seen === 'object' && seen.isFolder;
}
