import type { BigIntStats } from 'node:fs';
import { Fault } from '#kernel/fault.ts';
import { isSystemError } from '#lib/system-error.ts';
import type { BucketDisk } from './bucket-disk.ts';
import type { Directory } from './directory.ts';
import { lookAt, removeIfThere } from './fs.ts';
import { keyFileName } from './kept-versions.ts';
import { hardPath, plainPath } from './key-path.ts';
import { writeNewFile } from './write-file.ts';

/** Where the content of a key goes: an open folder and the name in it. Disposing closes the folder. */
export interface KeyPlace extends Disposable {
  readonly kind: 'file' | 'hard';
  readonly directory: Directory;
  readonly name: string;
  /** The keys that name folders on the way; none of a hard key. */
  readonly folders: readonly string[];
  /** What is there already. */
  readonly taken: BigIntStats | undefined;
}

/** A folder may vanish between being found and being written to, when its last object is deleted at that moment. */
export const attemptsMax = 8;

/**
 * Finds the place for the content of a key, with all folders on the way made: the file of that name, or one in our own folder when no file
 * can have the name, a folder has it, a file has that of a folder on the way, or the volume takes another's name for the same.
 */
export async function placeFor(disk: BucketDisk, key: string): Promise<KeyPlace> {
  const path = plainPath(key);
  if (path && !path.isFolder && (await disk.spelling.takes(path.name))) {
    try {
      const directory = await disk.place.ensure(path.folders);
      const stats = disk.lookAt(directory.at(path.name));
      if (!stats?.isDirectory() && disk.spelling.isExact([...path.folders, path.name])) {
        return keyPlace('file', directory, path.name, path.folders, stats);
      }
      directory[Symbol.dispose]();
    } catch (error) {
      if (!(error instanceof Fault && error.reason === 'key_conflict')) throw error;
    }
  }
  const hard = hardPath(key);
  disk.hasHardKeys = true;
  const directory = await disk.ownDirectory(hard.folders);
  const keyFile = `${hard.name}.${keyFileName}`;
  // Says whose content it is, should the rows be lost.
  if (!lookAt(directory.at(keyFile))) await writeNewFile(directory, keyFile, disk.newId(), key);
  return keyPlace('hard', directory, hard.name, [], disk.lookAt(directory.at(hard.name)));
}

/** Runs `move`, which gives a file its place, and makes that durable; false when the folder vanished or another one came there. */
export async function movesIn(place: KeyPlace, move: (path: string) => Promise<void>): Promise<boolean> {
  try {
    await move(place.directory.at(place.name));
  } catch (error) {
    const isOther = isSystemError(error, 'EISDIR', 'ENOTEMPTY', 'EEXIST');
    const isGone = isSystemError(error, 'ENOENT');
    if (isOther || isGone) return false;
    throw error;
  }
  await place.directory.sync();
  return true;
}

function keyPlace(
  kind: KeyPlace['kind'],
  directory: Directory,
  name: string,
  folders: readonly string[],
  taken: BigIntStats | undefined,
): KeyPlace {
  return { kind, directory, name, folders, taken, [Symbol.dispose]: () => directory[Symbol.dispose]() };
}

/** Removes the content of a key that lies in our own folder; false when there is none. */
export async function dropHard(disk: BucketDisk, key: string): Promise<boolean> {
  const { folders, name } = hardPath(key);
  using directory = disk.place.find(folders);
  if (!directory || !(await removeIfThere(directory.at(name)))) return false;
  await removeIfThere(directory.at(`${name}.${keyFileName}`));
  await directory.sync();
  return true;
}
