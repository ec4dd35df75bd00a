import { compareUtf8 } from '#lib/utf8-order.ts';
import type { TreeChange } from './store.ts';

/** The tree as a map from keys to sizes, where keys of folders end with a slash: slow, short, and right. For tests. */
export class ModelTree {
  #sizes = new Map<string, number>();

  /** False when the change is impossible, and then nothing happens. */
  apply(change: TreeChange): boolean {
    if (change.kind === 'delete') this.#delete(change.path);
    if (change.kind === 'put') {
      const { path, entry } = change;
      this.#makeParents(path);
      if (entry.isFolder) {
        this.#sizes.delete(path);
        this.#sizes.set(`${path}/`, 0);
      } else {
        if (this.#sizes.has(`${path}/`)) this.#delete(path);
        this.#sizes.set(path, entry.sizeBytes);
      }
    }
    return (change.kind !== 'move' && change.kind !== 'copy') || this.#moveOrCopy(change);
  }

  keys(): string[] {
    return [...this.#sizes.keys()].sort(compareUtf8);
  }

  /** Files and bytes of a file or of all below a folder. */
  sums(key: string): [files: number, bytes: number] {
    if (key !== '' && !key.endsWith('/')) return [0, this.#sizes.get(key) ?? 0];
    const below = [...this.#sizes].filter(([path]) => path.startsWith(key) && !path.endsWith('/'));
    return [below.length, below.reduce((sum, [, size]) => sum + size, 0)];
  }

  #moveOrCopy({ kind, path, newPath }: { kind: 'move' | 'copy'; path: string; newPath: string }): boolean {
    const isFolder = this.#sizes.has(`${path}/`);
    if (path === newPath) return isFolder || this.#sizes.has(path);
    if (newPath.startsWith(`${path}/`) || !(isFolder || this.#sizes.has(path))) return false;
    // What stands at the target goes first; a source inside it would go too.
    if (path.startsWith(`${newPath}/`)) return false;
    const taken = [...this.#sizes].filter(([key]) => key === path || key.startsWith(`${path}/`));
    this.#delete(newPath);
    if (kind === 'move') for (const [key] of taken) this.#sizes.delete(key);
    this.#makeParents(newPath);
    for (const [key, size] of taken) this.#sizes.set(newPath + key.slice(path.length), size);
    return true;
  }

  #makeParents(path: string): void {
    const names = path.split('/').slice(0, -1);
    for (let depth = 1; depth <= names.length; depth++) {
      const parent = names.slice(0, depth).join('/');
      this.#sizes.delete(parent);
      this.#sizes.set(`${parent}/`, 0);
    }
  }

  #delete(path: string): void {
    for (const key of this.#sizes.keys()) if (key === path || key.startsWith(`${path}/`)) this.#sizes.delete(key);
  }
}
