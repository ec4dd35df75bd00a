import { join } from 'node:path';
import { isSystemError } from '#lib/system-error.ts';
import { keepsNames, type Volume } from '../../volume.ts';
import type { Directory } from './directory.ts';
import type { FolderNames } from './folder-names.ts';
import { close, lookAt, mkdir, openNew, readEntriesNow, remove } from './fs.ts';
import { privateFolder } from './key-path.ts';

export interface SpellingOptions {
  /** The bucket's folder. */
  readonly root: string;
  readonly names: FolderNames;
  readonly volume: () => Volume;
  readonly newId: () => string;
  /** The folder for what is not whole yet. */
  readonly temporary: () => Promise<Directory>;
}

/**
 * Whether a volume tells names apart as keys do. Most do, and are never asked; where `A` and `a` are one file, what lies at a key's path may
 * be that of another key. Nothing is known here of how volumes compare names: what they list is compared.
 */
export interface Spelling {
  /** True when what lies at a path, if anything does, is listed under exactly these names. */
  isExact(names: readonly string[]): boolean;
  /** True when a file of that name is listed under that name. Errors: those of a disk that takes no files at all. */
  takes(name: string): Promise<boolean>;
  /** One word for all keys that a volume may take for the same, and for some more; `undefined` where it takes none. */
  alike(key: string): string | undefined;
}

/** Names that every system keeps as they are. */
const plainName = /^[\w-]+(\.[\w-]+)*$/;
const deviceName = /^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i;
const plainLengthMax = 200;
const triedMax = 10_000;

export function createSpelling({ root, names, volume, newId, temporary }: SpellingOptions): Spelling {
  const tried = new Map<string, boolean>();

  function isOwn(path: readonly string[], at: number): boolean {
    try {
      if (!lookAt(join(root, ...path.slice(0, at + 1)))) return true;
      return names.has(path.slice(0, at), path[at] as string);
    } catch (error) {
      // It went away between the two, or a link is on the way, which nobody follows.
      if (isSystemError(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return true;
      throw error;
    }
  }

  /** Makes a file of the name where nobody looks, and reads what it is called. */
  async function tryName(name: string): Promise<boolean> {
    using around = await temporary();
    const folder = around.at(newId());
    await mkdir(folder);
    try {
      close(openNew(`${folder}/${name}`));
      const [entry] = readEntriesNow(folder);
      return (volume().ignoresComposition ? entry?.name.normalize('NFC') : entry?.name) === name;
    } catch (error) {
      if (isSystemError(error, 'ENOSPC', 'EDQUOT', 'EIO', 'EROFS', 'EACCES', 'ENOTCONN', 'ESTALE')) throw error;
      return false;
    } finally {
      await remove(folder, { recursive: true, force: true });
    }
  }

  return {
    isExact(path) {
      if (keepsNames(volume()) || path[0] === privateFolder) return true;
      return path.every((_, at) => isOwn(path, at));
    },
    async takes(name) {
      const { alters, ignoresComposition } = volume();
      // Names are listed composed, whatever the volume makes of them.
      if (ignoresComposition && name.normalize('NFC') !== name) return false;
      if (alters === 'nothing') return true;
      const isPlain = plainName.test(name) && !deviceName.test(name) && name.length <= plainLengthMax;
      if (alters === 'odd-names' && isPlain) return true;
      const known = tried.get(name);
      if (known !== undefined) return known;
      const isTaken = await tryName(name);
      if (tried.size >= triedMax) tried.clear();
      tried.set(name, isTaken);
      return isTaken;
    },
    // Letters with relatives beyond ASCII are left out, since systems differ in which they take for the same.
    alike: (key) =>
      keepsNames(volume())
        ? undefined
        : `like ${key
            .normalize('NFKD')
            .toLowerCase()
            .replace(/[^a-z0-9/]|[iks]/g, '')}`,
  };
}
