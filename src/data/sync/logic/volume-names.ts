import { readdirSync } from 'node:fs';
import { escapeName, escapeText } from '#lib/escaped-name.ts';
import type { Volume } from '../../volume.ts';

/** Names with a byte that is not UTF-8 have the first in their text; the second may need an escape. */
const special = /[\ufffd\u241b]/;

/** The text under which the index has a name that a folder or a notification gives. */
export function nameText(name: string | Buffer, { ignoresComposition }: Volume): string {
  const text = typeof name === 'string' ? escapeText(name) : escapeName(name);
  return ignoresComposition ? text.normalize('NFC') : text;
}

/** Names in a folder, as the index has them. Errors: the system's. */
export function readNames(folder: string | Buffer, names: string[], volume: Volume): string[] {
  if (names.some((name) => special.test(name))) return readdirSync(folder, 'buffer').map((name) => nameText(name, volume));
  return volume.ignoresComposition ? names.map((name) => name.normalize('NFC')) : names;
}
