import { isUtf8 } from 'node:buffer';

/**
 * Names of files are bytes; ours are texts. A byte that is not UTF-8 is written as U+241B and two upper-case hexadecimal digits: the text of
 * the bytes `61 FF` is `a␛FF`. Where a name really has such a text in it, the bytes of its U+241B are written the same way:
 * `␛E2␛90␛9BFF`. So no two names have one text, every text of a name leads back to its bytes, and nearly all names are their own text.
 */

const mark = '\u241b';
const escapePattern = /\u241b([89A-F][0-9A-F])/;
const escapes = new RegExp(escapePattern, 'g');
const escapedMark = escapeBytes(Buffer.from(mark));

/** The text of a name, or of a path. */
export function escapeName(name: Buffer): string {
  if (isUtf8(name)) return escapeText(name.toString());
  let text = '';
  for (let at = 0; at < name.length; ) {
    const end = validEnd(name, at);
    text += escapeText(name.toString('utf8', at, end));
    if (end < name.length) text += escapeBytes(name.subarray(end, end + 1));
    at = end + 1;
  }
  return text;
}

/** The text of a name that is given as text already. */
export function escapeText(name: string): string {
  return name.replace(escapes, `${escapedMark}$1`);
}

/** The bytes of a name. Every text has some, but not every text is the one of its bytes: see `isNameText`. */
export function unescapeName(text: string): Buffer {
  const parts = text.split(escapePattern);
  return Buffer.concat(parts.map((part, at) => Buffer.from(part, at % 2 === 0 ? 'utf8' : 'hex')));
}

/** True when the bytes of a name are other than those of its text. */
export function isEscaped(text: string): boolean {
  return escapePattern.test(text);
}

/** True when a text is that of a name; others, such as `␛C3␛A9` for `é`, are no file's. */
export function isNameText(text: string): boolean {
  return text.isWellFormed() && (!isEscaped(text) || escapeName(unescapeName(text)) === text);
}

/** Where the longest valid piece that begins at `start` ends. */
function validEnd(name: Buffer, start: number): number {
  let end = start;
  while (end < name.length) {
    const length = [1, 2, 3, 4].find((size) => end + size <= name.length && isUtf8(name.subarray(end, end + size)));
    if (length === undefined) break;
    end += length;
  }
  return end;
}

function escapeBytes(bytes: Buffer): string {
  return [...bytes].map((byte) => mark + byte.toString(16).toUpperCase()).join('');
}
