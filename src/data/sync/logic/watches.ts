/** The folders being watched, as far as the keeper cares. */
export interface Watches {
  add(path: string, inode: number): void;
  remove(path: string): void;
  move(path: string, newPath: string): void;
  clear(): void;
}

/** Where there is nothing to watch. */
export const noWatches: Watches = {
  add: () => undefined,
  remove: () => undefined,
  move: () => undefined,
  clear: () => undefined,
};
