import { lstatSync, statSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { parentOf } from '#lib/tree-path.ts';
import type { DatasourceKind } from '../../plan.ts';
import type { Volume } from '../../volume.ts';
import { isMissing } from './disk-errors.ts';
import { DiskFolder, type ListedFolder, listFolder } from './disk-folder.ts';
import { diskPath } from './disk-path.ts';
import type { DiskMounts } from './mounts.ts';
import type { SkipReason } from './pass-progress.ts';
import { isPrivate } from './private-path.ts';
import { readNames } from './volume-names.ts';

export interface DiskWalkOptions {
  /** Absolute. */
  readonly root: string;
  readonly kind: DatasourceKind;
  readonly volume: Volume;
  readonly mounts: DiskMounts;
  /** Folders that have lost their disk are taken as they are. */
  readonly isConfirmed: boolean;
  /** True when the index has something at one of these paths. */
  readonly isKnown: (paths: readonly string[]) => Promise<boolean>;
  readonly onFolder: (path: string, inode: number) => void;
  readonly onSkip: (path: string, reason: SkipReason) => void;
}

/** A folder, or something that may be one, of which nothing may be concluded. */
export interface UnreadFolder {
  readonly listed: ListedFolder;
  readonly isUnread: true;
}

export type WalkedFolder = (DiskFolder & { readonly isUnread?: never }) | UnreadFolder;

type Names = { readonly names: string[] } | { readonly error: unknown };

interface Level {
  readonly listed: ListedFolder;
  readonly folders: readonly ListedFolder[];
  at: number;
}

/** Folders whose names are read while others are compared; larger ones are not, since their names take memory. */
const aheadMax = 8;
const aheadSizeMax = 256 * 1024;
/** Of a folder that may have lost its disk, so many names are looked for in the index. */
const familiarMax = 100;

/**
 * A folder and all folders below in tree order. Links are not followed; other disks mounted below are.
 * Memory: the folders on the way down and the names of a few.
 */
export class DiskWalk {
  readonly #options: DiskWalkOptions;
  readonly #above: ListedFolder[] = [];
  readonly #levels: Level[] = [];
  readonly #ahead = new Map<string, Promise<Names>>();
  #last: DiskFolder | undefined;

  constructor(options: DiskWalkOptions) {
    this.#options = options;
  }

  /** The folder to begin with; `undefined` when it is not there. Errors: the system's, when the datasource's own folder cannot be read. */
  async first(path: string): Promise<WalkedFolder | undefined> {
    for (let at = path; at !== ''; ) {
      at = parentOf(at);
      const listed = this.#look(at);
      if (listed) this.#above.unshift(listed);
    }
    const listed = this.#look(path);
    if (!listed) return undefined;
    const walked = await this.#open(listed);
    return walked;
  }

  /** The folder after the one handed out before, whose files have to be read by now; `leave`: nothing below that one. */
  async next({ leave = false } = {}): Promise<WalkedFolder | undefined> {
    if (this.#last && !leave) this.#levels.push({ listed: this.#last.listed, folders: this.#last.folders, at: 0 });
    this.#last = undefined;
    for (let level = this.#levels.at(-1); level; level = this.#levels.at(-1)) {
      const listed = level.folders[level.at++];
      if (!listed) {
        this.#levels.pop();
        continue;
      }
      for (const next of level.folders.slice(level.at - 1, level.at + aheadMax)) {
        if (next === listed || (next.sizeBytes < aheadSizeMax && !next.isUnseen)) this.#readAhead(next);
      }
      const walked = await this.#open(listed);
      if (walked) return walked;
    }
    return undefined;
  }

  async #open(listed: ListedFolder): Promise<WalkedFolder | undefined> {
    const { root, kind, onSkip } = this.#options;
    const { path } = listed;
    if (listed.isUnseen) return { listed, isUnread: true };
    const chain = [...this.#above, ...this.#levels.map((level) => level.listed)];
    if (chain.some(({ node, device }) => node === listed.node && device === listed.device)) {
      onSkip(path, 'loop');
      return this.#walked(listed, []);
    }
    const read = await this.#readAhead(listed);
    this.#ahead.delete(path);
    if ('error' in read) {
      if (path === '') throw read.error;
      if (isMissing(read.error)) return undefined;
      onSkip(path, 'unreadable');
      return { listed, isUnread: true };
    }
    const names = readNames(diskPath(root, path), read.names, this.#options.volume);
    const prefix = path === '' ? '' : `${path}/`;
    // Ours is at the top, and in each bucket.
    const own = isPrivate(`${prefix}.cellar`, kind) ? names.filter((name) => !isPrivate(prefix + name, kind)) : names;
    if (await this.#hasLostDisk(listed, chain.at(-1), own)) {
      onSkip(path, 'mount-away');
      return { listed, isUnread: true };
    }
    return this.#walked(listed, own);
  }

  #walked(listed: ListedFolder, names: string[]): DiskFolder {
    const { root, kind, onSkip, volume } = this.#options;
    const distinct = volume.ignoresComposition ? [...new Set(names)] : names;
    if (distinct.length < names.length) onSkip(listed.path, 'same-name');
    this.#last = new DiskFolder(listed, distinct, {
      root,
      onSkip,
      isWithoutFiles: kind === 'buckets' && listed.path === '',
      volume,
    });
    return this.#last;
  }

  /** True when another disk was mounted there, is not now, and what is there instead holds nothing that is known. */
  async #hasLostDisk(
    { path, device }: ListedFolder,
    parent: ListedFolder | undefined,
    names: readonly string[],
  ): Promise<boolean> {
    const { mounts, isConfirmed, isKnown } = this.#options;
    if (!parent) return false;
    if (parent.device !== device) {
      mounts.note(path);
      return false;
    }
    if (!mounts.has(path)) return false;
    if (isConfirmed || (await isKnown(names.slice(0, familiarMax).map((name) => `${path}/${name}`)))) {
      mounts.forget(path);
      return false;
    }
    return true;
  }

  #readAhead({ path, node }: ListedFolder): Promise<Names> {
    const known = this.#ahead.get(path);
    if (known) return known;
    const { root, onFolder } = this.#options;
    onFolder(path, node);
    const reading = readdir(diskPath(root, path)).then(
      (names): Names => ({ names }),
      (error: unknown): Names => ({ error }),
    );
    this.#ahead.set(path, reading);
    return reading;
  }

  #look(path: string): ListedFolder | undefined {
    const { root, volume } = this.#options;
    try {
      // The folder itself may be given by a link; below it none is followed.
      const stats = path === '' ? statSync(root) : lstatSync(diskPath(root, path));
      return stats.isDirectory() ? listFolder(path, stats, volume) : undefined;
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }
}
