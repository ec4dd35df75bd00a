import { sortUtf8 } from '#lib/utf8-order.ts';
import { openDirectory } from './directory.ts';
import { type Entry, fstat, readEntries, readEntriesNow } from './fs.ts';
import { privateFolder } from './key-path.ts';

/** Names of the files and folders in a folder, in the order their keys have; folders end with `/`. */
export interface FolderNames {
  /** At once for what is remembered, and for small folders. */
  of(folders: readonly string[]): readonly string[] | Promise<readonly string[]>;
}

const foldersMax = 2_000;
const namesMax = 2_000_000;
/** A folder that changed this short before it was read may change again within the same tick of its clock. */
const settledMs = 100;
/** Of a folder's own file. Up to this a trip to another thread costs more than reading it. */
const smallSizeBytesMax = 64 * 1024;

interface Known {
  readonly names: readonly string[];
  readonly ino: bigint;
  readonly mtimeNs: bigint;
}

/**
 * Reads folders below `root` and remembers what it read last, as long as the folder's own time says that it is still so.
 * Symbolic links, devices and sockets are left out. Errors: `ENOENT`, `ENOTDIR`, `ELOOP`.
 */
export function createFolderNames(root: string, now: () => number = Date.now): FolderNames {
  const known = new Map<string, Known>();
  let count = 0;
  const forget = (path: string): void => {
    count -= known.get(path)?.names.length ?? 0;
    known.delete(path);
  };
  const remember = (path: string, folder: Known): readonly string[] => {
    forget(path);
    const isSettled = now() - Number(folder.mtimeNs / 1_000_000n) > settledMs;
    if (!isSettled || folder.names.length > namesMax) return folder.names;
    known.set(path, folder);
    count += folder.names.length;
    for (const oldest of known.keys()) {
      if (known.size <= foldersMax && count <= namesMax) break;
      forget(oldest);
    }
    return folder.names;
  };
  return {
    of(folders) {
      const path = folders.join('/');
      const isRoot = folders.length === 0;
      const directory = openDirectory(root, folders);
      let isAhead = false;
      try {
        const { ino, mtimeNs, size } = fstat(directory.fd);
        const earlier = known.get(path);
        if (earlier?.ino === ino && earlier.mtimeNs === mtimeNs) {
          known.delete(path);
          known.set(path, earlier);
          return earlier.names;
        }
        if (size <= smallSizeBytesMax) {
          const entries = readEntriesNow(directory.at('.'));
          return remember(path, { names: sortUtf8(entryNames(entries, isRoot)), ino, mtimeNs });
        }
        isAhead = true;
        return readEntries(directory.at('.'))
          .then((entries) => remember(path, { names: sortUtf8(entryNames(entries, isRoot)), ino, mtimeNs }))
          .finally(() => directory[Symbol.dispose]());
      } finally {
        if (!isAhead) directory[Symbol.dispose]();
      }
    },
  };
}

function entryNames(entries: readonly Entry[], isRoot: boolean): string[] {
  const names: string[] = [];
  for (const { name, isFile, isFolder } of entries) {
    if (isFile) names.push(name);
    else if (isFolder && !(isRoot && name === privateFolder)) names.push(`${name}/`);
  }
  return names;
}
