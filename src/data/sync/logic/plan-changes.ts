import { isWithin, parentOf } from '#lib/tree-path.ts';
import { isMoved, isSameEntry, type TreeEntry } from './entry.ts';
import type { Seen } from './storage.ts';

/** One path as disk and index have it. */
export interface Looked {
  readonly path: string;
  readonly seen: Seen;
  readonly known: TreeEntry | undefined;
  /** Files and folders the index has there. */
  readonly nodes: number;
  /** The index is told even when it says the same, since there is more to tell than storage shows. */
  readonly isTold?: boolean;
}

export type PlannedChange =
  | { readonly kind: 'put'; readonly entry: TreeEntry }
  | { readonly kind: 'delete'; readonly path: string; readonly nodes: number }
  | { readonly kind: 'move'; readonly path: string; readonly newPath: string; readonly isFolder: boolean };

export interface Plan {
  readonly changes: readonly PlannedChange[];
  /** Folders whose content has to be compared, since the index did not know them or knew others; none lies in another. */
  readonly unknownFolders: readonly string[];
}

/** What to tell the index so that it says of these paths what the disk says. Moves come first, then what is there, then what is gone. */
export function planChanges(looked: readonly Looked[]): Plan {
  const moves: PlannedChange[] = [];
  const puts: PlannedChange[] = [];
  const unknown: string[] = [];
  const gone = new Map<string, Looked>();
  const goneByInode = new Map<number, Looked>();
  for (const one of looked) {
    if (one.seen !== 'nothing' || !one.known) continue;
    gone.set(one.path, one);
    goneByInode.set(one.known.inode, one);
  }
  for (const { path, seen, known, isTold } of looked) {
    if (seen === 'nothing' || seen === 'unknown') continue;
    const source = known ? undefined : goneByInode.get(seen.inode);
    if (source?.known && isMoved(source.known, seen) && !isWithin(path, source.path)) {
      moves.push({ kind: 'move', path: source.path, newPath: path, isFolder: seen.isFolder });
      gone.delete(source.path);
      goneByInode.delete(seen.inode);
      // The content may have changed on the way, and quick changes after a move are reported under either name.
      if (seen.isFolder) unknown.push(path);
    } else if (seen.isFolder && !(known && isSameEntry(known, seen))) {
      unknown.push(path);
    }
    if (isTold || !known || !isSameEntry(known, seen) || known.mtimeUs !== seen.mtimeUs) puts.push({ kind: 'put', entry: seen });
  }
  const deletes = outermost([...gone.keys()]).map(
    (path): PlannedChange => ({ kind: 'delete', path, nodes: gone.get(path)?.nodes ?? 1 }),
  );
  return { changes: [...moves, ...puts, ...deletes], unknownFolders: outermost(unknown) };
}

/** The paths that lie in none of the others. */
export function outermost(paths: readonly string[]): string[] {
  const all = new Set(paths);
  return [...all].filter((path) => {
    for (let parent = path; parent !== ''; ) {
      parent = parentOf(parent);
      if (all.has(parent) && parent !== path) return false;
    }
    return true;
  });
}
