import { invalidArgument } from '#kernel/fault.ts';

/** Our own folder inside a bucket's folder: temporary files and running uploads. It is in no listing. */
export const privateFolder = '.cellar';

const nameSizeBytesMax = 255;

/** A key as names of folders and a last name. `isFolder`: the key ended with `/` and stands for the folder itself. */
export interface KeyPath {
  readonly folders: readonly string[];
  readonly name: string;
  readonly isFolder: boolean;
}

/**
 * The place of a key inside its bucket's folder.
 *
 * Every key that is accepted has exactly one place and the other way round; nothing is normalised.
 * Errors: `invalid_key` for keys that no file can have (`//`, `.`, `..`, `/` first, NUL) and for our own folder;
 * `key_too_long` for a name over 255 bytes.
 */
export function parseKey(key: string): KeyPath {
  const isFolder = key.endsWith('/');
  const names = (isFolder ? key.slice(0, -1) : key).split('/');
  for (const name of names) {
    if (name === '' || name === '.' || name === '..')
      throw invalidKey(key, 'it has an empty, "." or ".." part, which no file can have');
    if (name.includes('\0')) throw invalidKey(key, 'it has a NUL character');
    // On disk it would be another name than the one that policies were asked about.
    if (!name.isWellFormed()) throw invalidKey(key, 'it has half of a surrogate pair, which is no character');
    if (Buffer.byteLength(name) > nameSizeBytesMax) {
      throw invalidArgument(
        `Cannot use key ${JSON.stringify(key)}: a part between slashes is over ${nameSizeBytesMax} bytes long`,
        {
          reason: 'key_too_long',
        },
      );
    }
  }
  if (names[0] === privateFolder) throw invalidKey(key, `"${privateFolder}" is reserved`);
  return { folders: names.slice(0, -1), name: names.at(-1)!, isFolder };
}

/** For content at a key that stands for a folder. */
export function folderHasNoContent(key: string): Error {
  return invalidArgument(`Cannot write ${JSON.stringify(key)}: a key that ends with "/" is a folder and has no content`, {
    reason: 'invalid_key',
  });
}

function invalidKey(key: string, why: string): Error {
  return invalidArgument(`Cannot use key ${JSON.stringify(key)}: ${why}`, { reason: 'invalid_key' });
}
