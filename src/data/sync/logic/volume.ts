import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { escapeName, escapeText } from '#lib/escaped-name.ts';

/** How a volume takes names. */
export interface Volume {
  /** `A` and `a` are one file. */
  readonly ignoresCase: boolean;
  /** `é` as one character or as two is one file. */
  readonly ignoresComposition: boolean;
}

export const exactVolume: Volume = { ignoresCase: false, ignoresComposition: false };

/** Tries it out with a file in our own folder. A volume that cannot be written is taken for an exact one, as nearly all are. */
export function probeVolume(privateFolder: string): Volume {
  const name = `probe-${randomUUID()}-`;
  const probe = join(privateFolder, `${name}\u00e9`);
  const isOurs = makeFolder(privateFolder);
  try {
    writeFileSync(probe, '', { flag: 'wx' });
    return {
      ignoresCase: existsSync(join(privateFolder, `${name.toUpperCase()}\u00e9`)),
      ignoresComposition: existsSync(join(privateFolder, `${name}e\u0301`)),
    };
  } catch {
    return exactVolume;
  } finally {
    rmSync(probe, { force: true });
    if (isOurs) rmSync(privateFolder, { recursive: true, force: true });
  }
}

/** Result: true when it was not there before. The folder around it is not made: its disk may be away. */
function makeFolder(path: string): boolean {
  try {
    mkdirSync(path);
    return true;
  } catch {
    return false;
  }
}

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

/** The path as it is really spelt, where a volume takes several spellings for one; the same path when nothing is there. */
export function spelling(path: string, volume: Volume, list: (folder: string) => readonly string[]): string {
  if (!volume.ignoresCase && !volume.ignoresComposition) return path;
  let spelt = '';
  for (const asked of volume.ignoresComposition ? path.normalize('NFC').split('/') : path.split('/')) {
    const names = volume.ignoresCase ? list(spelt) : [];
    const name = names.includes(asked) ? asked : (names.find((one) => isSameName(one, asked)) ?? asked);
    spelt = spelt === '' ? name : `${spelt}/${name}`;
  }
  return spelt;
}

function isSameName(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}
