import { parentOf } from '#lib/tree-path.ts';
import type { Hints } from './hints.ts';
import type { KnownTree } from './known-tree.ts';
import { type Looked, outermost, type Plan, planChanges } from './plan-changes.ts';
import type { Seen, Storage } from './storage.ts';

/**
 * Looks at the paths of hints, in storage and in the index, and says what to do about them; `undefined` when the datasource's folder is
 * not there or not the one that was compared, so that nothing can be said. Errors: those of the index, and of a storage that cannot answer.
 */
export async function planHints(
  storage: Storage,
  known: KnownTree,
  { paths: hinted, etags, areFoldersNew }: Hints,
): Promise<Plan | undefined> {
  const paths = new Set<string>();
  for (const path of hinted) {
    // Parents too: they may be new as well, their time has changed, and when one is gone all below it is.
    for (const spelt of new Set([path, storage.spell(path)]))
      for (let at = spelt; !paths.has(at); at = parentOf(at)) paths.add(at);
  }
  if (paths.size === 0) return { changes: [], unknownFolders: [] };
  const seen = await lookAll(storage, [...paths]);
  // After the looks: a folder that went away between them seems to hold nothing.
  if (!storage.root.isSame()) return undefined;
  const looked = (await known.find([...paths])).map(
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

/** What lies in something that is no folder, such as a link to one, is not there. */
async function lookAll(storage: Storage, paths: readonly string[]): Promise<Map<string, Seen>> {
  const looks = await storage.look(paths);
  const seen = new Map(paths.map((path, at) => [path, looks[at] ?? 'unknown']));
  for (const path of paths.toSorted((a, b) => a.length - b.length)) {
    const above = path === '' ? undefined : seen.get(parentOf(path));
    if (above === 'nothing' || (typeof above === 'object' && !above.isFolder)) seen.set(path, 'nothing');
  }
  return seen;
}

function isSameFolder({ seen, known }: Looked): boolean {
  return typeof seen === 'object' && seen.inode === known?.inode;
}

function isFolder(seen: Seen | undefined): boolean {
  return typeof seen === 'object' && seen.isFolder;
}
