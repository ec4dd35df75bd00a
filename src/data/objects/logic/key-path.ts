import { createHash } from 'node:crypto';
import { invalidArgument } from '#kernel/fault.ts';
import { isNameText, unescapeName } from '#lib/escaped-name.ts';

/** Our own folder inside a bucket's folder: temporary files, running uploads, hard keys, versions. It is in no listing. */
export const privateFolder = '.cellar';

const nameSizeBytesMax = 255;
const keySizeBytesMax = 1024;

/** A key as names of folders and a last name. `isFolder`: the key ended with `/` and stands for the folder itself. */
export interface KeyPath {
  readonly folders: readonly string[];
  readonly name: string;
  readonly isFolder: boolean;
}

/**
 * The place of a key as a file or folder inside its bucket's folder; `undefined` for a key that cannot be one.
 *
 * Every such key has exactly one place and the other way round; nothing is normalised. No file can have a key with an empty, `.` or `..`
 * part, with NUL, with a name over 255 bytes, or in our own folder.
 * Errors: `key_too_long` for a key over 1,024 bytes; `invalid_key` for an empty one, or one that is no text.
 */
export function plainPath(key: string): KeyPath | undefined {
  if (key === '') throw invalidKey(key, 'it is empty');
  // On disk it would be another name than the one that policies were asked about.
  if (!key.isWellFormed()) throw invalidKey(key, 'it has half of a surrogate pair, which is no character');
  if (key.length * 3 > keySizeBytesMax && Buffer.byteLength(key) > keySizeBytesMax) {
    throw invalidArgument(`Cannot use key ${JSON.stringify(key)}: it is over ${keySizeBytesMax} bytes long`, {
      reason: 'key_too_long',
    });
  }
  const isFolder = key.endsWith('/');
  const names = (isFolder ? key.slice(0, -1) : key).split('/');
  if (!names.every(isName) || names[0] === privateFolder) return undefined;
  return { folders: names.slice(0, -1), name: names.at(-1)!, isFolder };
}

/** The same for paths of a tree. Errors: also `invalid_key` for what cannot be a file or folder. */
export function parseKey(key: string): KeyPath {
  const path = plainPath(key);
  if (!path) throw invalidKey(key, 'it cannot be the name of a file');
  return path;
}

/** Where the content of a key lies that is not at its place: the names of folders and of the file. */
export function hardPath(key: string): KeyPath {
  const name = createHash('sha256').update(key).digest('hex');
  return { folders: [privateFolder, 'keys', name.slice(0, 2)], name, isFolder: false };
}

/** The folder of the versions of a key that are not the current one. */
export function versionsPath(key: string): readonly string[] {
  const name = createHash('sha256').update(key).digest('hex');
  return [privateFolder, 'versions', name.slice(0, 2), name];
}

function isName(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && !name.includes('\0') && isNameText(name) && isShort(name);
}

const isShort = (name: string): boolean => name.length * 3 <= nameSizeBytesMax || unescapeName(name).length <= nameSizeBytesMax;

function invalidKey(key: string, why: string): Error {
  return invalidArgument(`Cannot use key ${JSON.stringify(key)}: ${why}`, { reason: 'invalid_key' });
}
