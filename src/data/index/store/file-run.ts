import { nameOf, parentOf } from '#lib/tree-path.ts';
import type { StoredEntry, TreeChange } from './store.ts';

export interface FilePut {
  readonly path: string;
  readonly name: string;
  readonly entry: StoredEntry;
}

/** The longest run of files put into one folder that starts at `at`, each name once: what can be written in one go. */
export function fileRun(changes: readonly TreeChange[], at: number): FilePut[] {
  const run: FilePut[] = [];
  const names = new Set<string>();
  let parent: string | undefined;
  for (let index = at; index < changes.length; index++) {
    const change = changes[index] as TreeChange;
    if (change.kind !== 'put' || change.entry.isFolder) break;
    const { path, entry } = change;
    const [own, name] = [parentOf(path), nameOf(path)];
    parent ??= own;
    if (own !== parent || names.has(name)) break;
    names.add(name);
    run.push({ path, name, entry });
  }
  return run;
}
