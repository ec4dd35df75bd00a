import type { Dirent } from 'node:fs';
import { sortUtf8 } from '#lib/utf8-order.ts';
import { openDirectory } from './directory.ts';
import { fstat, readdir } from './fs.ts';
import { privateFolder } from './key-path.ts';

/** Names of the files and folders in a folder, in the order their keys have; folders end with `/`. */
export interface FolderNames {
  of(folders: readonly string[]): Promise<readonly string[]>;
}

const foldersMax = 200;
const namesMax = 2_000_000;
/** A folder that changed this short before it was read may change again within the same tick of its clock. */
const settledMs = 100;

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
  return {
    async of(folders) {
      const path = folders.join('/');
      using directory = await openDirectory(root, folders);
      const { ino, mtimeNs } = fstat(directory.fd);
      const earlier = known.get(path);
      if (earlier?.ino === ino && earlier.mtimeNs === mtimeNs) {
        known.delete(path);
        known.set(path, earlier);
        return earlier.names;
      }
      forget(path);
      const isSettled = now() - Number(mtimeNs / 1_000_000n) > settledMs;
      const names = sortUtf8(entryNames(await readdir(directory.at('.'), { withFileTypes: true }), folders.length === 0));
      if (isSettled && names.length <= namesMax) {
        known.set(path, { names, ino, mtimeNs });
        count += names.length;
        for (const oldest of known.keys()) {
          if (known.size <= foldersMax && count <= namesMax) break;
          forget(oldest);
        }
      }
      return names;
    },
  };
}

function entryNames(entries: readonly Dirent[], isRoot: boolean): string[] {
  const names: string[] = [];
  for (const entry of entries) {
    if (entry.isFile()) names.push(entry.name);
    else if (entry.isDirectory() && !(isRoot && entry.name === privateFolder)) names.push(`${entry.name}/`);
  }
  return names;
}
