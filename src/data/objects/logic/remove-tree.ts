import { isSystemError } from '#lib/system-error.ts';
import type { Directory } from './directory.ts';
import { readEntries, remove, rename } from './fs.ts';

/** Far below the length of a path that the system takes, which names below still need a part of. Unit: bytes. */
const pathBytesMax = 2048;

/**
 * Erases an entry of a folder with all in it, also what lies so deep that no path is long enough for it: such folders are brought up to
 * the folder first, under names of `newId`.
 */
export async function removeTree(folder: Directory, name: string, newId: () => string): Promise<void> {
  const waiting = [folder.at(name)];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    try {
      await remove(path, { recursive: true, force: true });
    } catch (error) {
      if (!isSystemError(error, 'ENAMETOOLONG')) throw error;
      waiting.push(path);
      for (const deep of await foldersBeyond(path)) {
        const nearer = folder.at(newId());
        await rename(deep, nearer);
        waiting.push(nearer);
      }
    }
  }
}

/** The folders below whose paths are the first on their way that are longer than `pathBytesMax`. */
async function foldersBeyond(path: string): Promise<string[]> {
  if (Buffer.byteLength(path) > pathBytesMax) return [path];
  const found: string[] = [];
  for (const { name, isFolder } of await readEntries(path)) if (isFolder) found.push(...(await foldersBeyond(`${path}/${name}`)));
  return found;
}
