import { join } from 'node:path';
import { compareUtf8, sortUtf8 } from '#lib/utf8-order.ts';
import type { Volume } from '../../volume.ts';
import { openDirectory } from './directory.ts';
import { type Entry, fstat, lookAt, readEntries, readEntriesNow } from './fs.ts';
import { privateFolder } from './key-path.ts';

/** Names of the files and folders in a folder, in the order their keys have; folders end with `/`. */
export interface FolderNames {
  /** At once for what is remembered, and for small folders. */
  of(folders: readonly string[]): readonly string[] | Promise<readonly string[]>;
  /** Whether a folder has a file or folder of exactly this name. */
  has(folders: readonly string[], name: string): boolean;
  /** True when a folder has changed so lately that its names are read anew each time. */
  isChanging(folders: readonly string[]): boolean;
}

const foldersMax = 2_000;
const namesMax = 2_000_000;
/** A folder that changed this short before it was read may change again within the same tick of its clock. */
const settledMsMin = 100;
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
export function createFolderNames(root: string, volume: () => Volume, now: () => number = Date.now): FolderNames {
  const known = new Map<string, Known>();
  let count = 0;
  const forget = (path: string): void => {
    count -= known.get(path)?.names.length ?? 0;
    known.delete(path);
  };
  const isSettled = (mtimeNs: bigint): boolean => {
    const { tickMs, datesFolders } = volume();
    return datesFolders && now() - Number(mtimeNs / 1_000_000n) > settledMsMin + tickMs;
  };
  const sorted = (entries: readonly Entry[], isRoot: boolean): readonly string[] => {
    const names = entryNames(entries, isRoot);
    if (!volume().ignoresComposition) return sortUtf8(names);
    return sortUtf8([...new Set(names.map((name) => name.normalize('NFC')))]);
  };
  const remember = (path: string, folder: Known): readonly string[] => {
    forget(path);
    if (!isSettled(folder.mtimeNs) || folder.names.length > namesMax) return folder.names;
    known.set(path, folder);
    count += folder.names.length;
    for (const oldest of known.keys()) {
      if (known.size <= foldersMax && count <= namesMax) break;
      forget(oldest);
    }
    return folder.names;
  };
  const read = (folders: readonly string[], sizeBytesMax: number): readonly string[] | Promise<readonly string[]> => {
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
      if (size <= sizeBytesMax) {
        const entries = readEntriesNow(directory.at('.'));
        return remember(path, { names: sorted(entries, isRoot), ino, mtimeNs });
      }
      isAhead = true;
      return readEntries(directory.at('.'))
        .then((entries) => remember(path, { names: sorted(entries, isRoot), ino, mtimeNs }))
        .finally(() => directory[Symbol.dispose]());
    } finally {
      if (!isAhead) directory[Symbol.dispose]();
    }
  };
  return {
    of: (folders) => read(folders, smallSizeBytesMax),
    has(folders, name) {
      const names = read(folders, Number.POSITIVE_INFINITY) as readonly string[];
      return holds(names, name) || holds(names, `${name}/`);
    },
    isChanging(folders) {
      const stats = lookAt(join(root, ...folders));
      return stats !== undefined && !isSettled(stats.mtimeNs);
    },
  };
}

function holds(names: readonly string[], name: string): boolean {
  let [low, high] = [0, names.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareUtf8(names[middle] as string, name) < 0) low = middle + 1;
    else high = middle;
  }
  return names[low] === name;
}

function entryNames(entries: readonly Entry[], isRoot: boolean): string[] {
  const names: string[] = [];
  for (const { name, isFile, isFolder } of entries) {
    if (isFile) names.push(name);
    else if (isFolder && !(isRoot && name === privateFolder)) names.push(`${name}/`);
  }
  return names;
}
