import { readdirSync } from 'node:fs';
import { keepsNames, type Volume } from '../../volume.ts';
import { diskPath } from './disk-path.ts';
import { readNames } from './volume-names.ts';

interface Names {
  readonly all: ReadonlySet<string>;
  /** By their forms without case, as far as they were asked for. */
  byFold: ReadonlyMap<string, string> | undefined;
}

/**
 * How names are really spelt on a volume that takes several spellings for one. Folders are read once for all that is asked in one turn of the
 * program: there may be thousands of paths of one folder.
 */
export class SpeltNames {
  readonly #root: string;
  readonly #volume: Volume;
  #read: Map<string, Names> | undefined;

  constructor(root: string, volume: Volume) {
    this.#root = root;
    this.#volume = volume;
  }

  /** The path as it is spelt; what nothing is known of stays as it is. */
  spell(path: string): string {
    if (keepsNames(this.#volume) || path === '') return path;
    let spelt = '';
    for (const asked of path.split('/')) {
      const name = this.#nameIn(spelt, this.#volume.ignoresComposition ? asked.normalize('NFC') : asked);
      spelt = spelt === '' ? name : `${spelt}/${name}`;
    }
    return spelt;
  }

  /** True when each name of a path is listed as it is. */
  isListed(path: string): boolean {
    if (keepsNames(this.#volume) || path === '') return true;
    let folder = '';
    return path.split('/').every((name) => {
      const isThere = this.#names(folder).all.has(name);
      folder = folder === '' ? name : `${folder}/${name}`;
      return isThere;
    });
  }

  #nameIn(folder: string, name: string): string {
    const names = this.#names(folder);
    if (names.all.has(name) || !this.#volume.ignoresCase) return name;
    names.byFold ??= new Map([...names.all].map((one) => [one.toLowerCase(), one]));
    return names.byFold.get(name.toLowerCase()) ?? name;
  }

  #names(folder: string): Names {
    if (!this.#read) {
      this.#read = new Map();
      setImmediate(() => {
        this.#read = undefined;
      });
    }
    const known = this.#read.get(folder);
    if (known) return known;
    const names: Names = { all: new Set(this.#list(folder)), byFold: undefined };
    this.#read.set(folder, names);
    return names;
  }

  #list(folder: string): readonly string[] {
    try {
      const at = diskPath(this.#root, folder);
      return readNames(at, readdirSync(at), this.#volume);
    } catch {
      return []; // Whether it is there at all is seen by the look.
    }
  }
}
