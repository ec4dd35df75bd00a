import { constants, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { syncFolder } from './folder-sync.ts';
import { close, lookAt, nameOfOpen, openNow, systemError } from './fs.ts';

/**
 * A folder held open, so that what is done in it happens in that very folder whatever its path becomes meanwhile.
 */
export interface Directory extends Disposable {
  readonly fd: number;
  /** A path for file system calls that names an entry of this folder. */
  at(name: string): string;
  /** Makes added and removed entries durable. */
  sync(): Promise<void>;
}

const isLinux = process.platform === 'linux';

/**
 * Opens a folder below `root`, a path without symbolic links.
 *
 * Symbolic links are not followed, neither as the last nor as an inner name. On Linux this holds even when somebody swaps a folder
 * for a link meanwhile: the kernel is asked what was opened, and entries are named through the open folder. The kernel answers from
 * memory for folders that are in use; a trip to another thread would cost many times more.
 * Errors: `ENOENT`, `ENOTDIR`, and `ELOOP` when a link is on the way.
 */
export function openDirectory(root: string, folders: readonly string[]): Directory {
  const path = folders.length === 0 ? root : join(root, ...folders);
  const fd = openNow(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  try {
    assertOpened(fd, path);
  } catch (error) {
    close(fd);
    throw error;
  }
  return {
    fd,
    at: (name) => (isLinux ? `/proc/self/fd/${fd}/${name}` : join(path, name)),
    sync: () => syncFolder(fd),
    [Symbol.dispose]: () => close(fd),
  };
}

/** Checks that an open file or folder is the one at `path` and was not reached through a symbolic link. */
export function assertOpened(fd: number, path: string): void {
  const opened = isLinux ? nameOfOpen(fd) : realpathSync.native(path);
  if (opened === path) return;
  if (opened === `${path} (deleted)`) throw systemError('ENOENT', path);
  // Where a volume has several spellings of a name, the system may tell another one than it was asked for.
  if (folded(opened) === folded(path) && !hasLink(path)) return;
  throw systemError('ELOOP', path);
}

const folded = (path: string): string => path.normalize('NFC').toLowerCase();

function hasLink(path: string): boolean {
  for (let at = path; at !== dirname(at); at = dirname(at)) if (lookAt(at)?.isSymbolicLink()) return true;
  return false;
}
