import { randomUUID } from 'node:crypto';
import { existsSync, linkSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** How a volume keeps files, as far as volumes differ. */
export interface Volume {
  /** `A` and `a` are one file. */
  readonly ignoresCase: boolean;
  /** `é` as one character or as two is one file. */
  readonly ignoresComposition: boolean;
  /** Which names it refuses, or changes into others: such as `a:b` and `a.`, or even plain ones. */
  readonly alters: 'nothing' | 'odd-names' | 'all-names';
  /** False: the numbers that it gives to files are made up, and others after the next mount. */
  readonly hasInodes: boolean;
  /** How coarse its times are. Unit: milliseconds, 0 for finer ones. */
  readonly tickMs: number;
  /** A folder's time says when names in it came or went. */
  readonly datesFolders: boolean;
  /** False: it could not be tried out. */
  readonly isKnown: boolean;
}

/** What nearly all are. */
export const exactVolume: Volume = {
  ...{ ignoresCase: false, ignoresComposition: false, alters: 'nothing' },
  ...{ hasInodes: true, tickMs: 0, datesFolders: true, isKnown: true },
};

/** Whether a name leads to a file of that very name, and to no other. */
export const keepsNames = ({ ignoresCase, ignoresComposition, alters }: Volume): boolean =>
  !ignoresCase && !ignoresComposition && alters === 'nothing';

const composed = 'Aa\u00e9';
/** As long as a name may be, with all that some systems refuse, and an end that they drop. */
const odd = `${'x'.repeat(238)}"*:<>?\\|\u0001\u{1f600} .`;
const oldMs = 1_000_000_000_000;
const dayMs = 86_400_000;

/**
 * Tries it out in our own folder, at the cost of some small files. A volume that cannot be written is taken for an exact one, as nearly
 * all are.
 */
export function probeVolume(privateFolder: string): Volume {
  const isOurs = makeFolder(privateFolder);
  const folder = join(privateFolder, `probe-${randomUUID()}`);
  try {
    mkdirSync(folder);
    const file = join(folder, composed);
    writeFileSync(file, '', { flag: 'wx' });
    const ignoresComposition = existsSync(join(folder, 'Aae\u0301'));
    const isKept = namesIn(folder, ignoresComposition).includes(composed);
    return {
      ignoresCase: existsSync(join(folder, 'aA\u00e9')),
      ignoresComposition,
      alters: !isKept ? 'all-names' : holds(folder, odd, ignoresComposition) ? 'nothing' : 'odd-names',
      hasInodes: canLink(file, join(folder, 'link')),
      tickMs: tickOf(file),
      datesFolders: datesFolder(folder),
      isKnown: true,
    };
  } catch {
    return { ...exactVolume, isKnown: false };
  } finally {
    rmSync(folder, { recursive: true, force: true });
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

function namesIn(folder: string, ignoresComposition: boolean): string[] {
  const names = readdirSync(folder);
  return ignoresComposition ? names.map((name) => name.normalize('NFC')) : names;
}

function holds(folder: string, name: string, ignoresComposition: boolean): boolean {
  try {
    writeFileSync(join(folder, name), '', { flag: 'wx' });
    return namesIn(folder, ignoresComposition).includes(name);
  } catch {
    return false;
  }
}

/** Without a table of inodes there is nothing that two names could share. */
function canLink(file: string, name: string): boolean {
  try {
    linkSync(file, name);
    return true;
  } catch {
    return false;
  }
}

/** Of a time that is odd in every unit, what is left. */
function tickOf(file: string): number {
  const atMs = oldMs + 1111;
  utimesSync(file, atMs / 1000, atMs / 1000);
  const gotMs = statSync(file).mtimeMs;
  if (Math.abs(gotMs - atMs) < 0.5) return 0;
  return [10, 100, 1000].find((tickMs) => gotMs === Math.floor(atMs / tickMs) * tickMs) ?? 2000;
}

/** Some drivers do it when a file is made there, and not when one is moved there. */
function datesFolder(folder: string): boolean {
  const elsewhere = join(folder, 'elsewhere');
  const isDated = (change: () => void): boolean => {
    utimesSync(folder, oldMs / 1000, oldMs / 1000);
    change();
    return Math.abs(statSync(folder).mtimeMs - oldMs) > dayMs;
  };
  try {
    mkdirSync(elsewhere);
    writeFileSync(join(elsewhere, 'a'), '');
    return [
      () => renameSync(join(elsewhere, 'a'), join(folder, 'b')),
      () => renameSync(join(folder, 'b'), join(folder, 'c')),
      () => rmSync(join(folder, 'c')),
    ].every(isDated);
  } catch {
    return false;
  }
}
