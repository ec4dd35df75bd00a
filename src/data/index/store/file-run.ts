import { parentOf } from '#lib/tree-path.ts';
import type { StoredEntry, TreeChange } from './store.ts';

export interface FilePut {
  readonly path: string;
  readonly name: string;
  readonly entry: StoredEntry;
}

/** The longest run of files put into one folder that starts at `at`, each name once: what can be written in one go. */
export function fileRun(changes: readonly TreeChange[], at: number): FilePut[] {
  const run: FilePut[] = [];
  const first = changes[at];
  const parent = first && parentOf(first.path);
  const start = parent ? parent.length + 1 : 0;
  let names: Set<string> | undefined;
  let greatest = '';
  for (let index = at; index < changes.length; index++) {
    const change = changes[index] as TreeChange;
    if (change.kind !== 'put' || change.entry.isFolder) break;
    const { path, entry } = change;
    if (path.lastIndexOf('/') !== start - 1 || (parent && !path.startsWith(parent))) break;
    const name = path.slice(start);
    // Runs mostly come in order, and then no name comes twice.
    if (name > greatest) {
      greatest = name;
    } else {
      names ??= new Set(run.map((put) => put.name));
      if (names.has(name)) break;
    }
    names?.add(name);
    run.push({ path, name, entry });
  }
  return run;
}
