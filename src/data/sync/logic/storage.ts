import type { TreeEntry } from './entry.ts';
import type { PackedRun } from './packed-files.ts';
import type { SkipReason } from './pass-progress.ts';

/** What storage has at a path. `unknown`: it cannot be told, and nothing may be concluded. */
export type Seen = TreeEntry | 'nothing' | 'unknown';

/** An entry met by a walk. `isUnread`: what is there, or what is in it, could not be read; the index is not to be changed there. */
export type WalkedEntry = TreeEntry & { readonly isUnread?: true; readonly epoch: number };

/** What differs between storage and index at one path. */
export type Difference =
  /** `isWhole`: a folder whose content was not walked, since the index knows nothing of it. */
  | { readonly kind: 'create'; readonly entry: WalkedEntry; readonly isWhole?: true }
  /** `isQuiet`: only a folder's time is different. */
  | { readonly kind: 'update'; readonly entry: WalkedEntry; readonly isQuiet: boolean }
  /** The index has it and storage does not, nor anything below; `nodes` counts itself and what is below. */
  | { readonly kind: 'delete'; readonly entry: TreeEntry; readonly nodes: number };

export interface CompareOptions {
  /** Folders that the index does not know are not walked but told as a whole. */
  readonly areNewFoldersWhole: boolean;
  /** Folders where another disk was mounted and is not now are taken as they are. */
  readonly isConfirmed: boolean;
  /** Called before a folder is read, so that a watch set then misses nothing. */
  readonly onFolder: (path: string, inode: number) => void;
  /** Called as entries of storage go by. */
  readonly onSeen: (count: number, escaped: readonly string[]) => void;
  readonly onSkip: (path: string, reason: SkipReason) => void;
  /** Noted with each entry when it is looked at. */
  readonly epoch: () => number;
  readonly signal: AbortSignal;
}

/** What a comparison needs of the index. */
export interface KnownWalks {
  /** A folder and all folders below in tree order with their files; nothing when the index does not know it. */
  folders(folder: string, signal: AbortSignal): AsyncIterable<readonly PackedRun[]>;
  /** Everything below a folder in tree order. */
  entries(folder: string, signal: AbortSignal): AsyncIterable<readonly TreeEntry[]>;
  /** True when the index has something at one of these paths. */
  hasAny(paths: readonly string[]): Promise<boolean>;
}

/** Where the files of a datasource lie. */
export interface Storage {
  /** For people: a folder, or a bucket of a server. */
  readonly place: string;
  /** What is at paths now, in their order. Errors: those of a storage that cannot answer; a disk says `unknown` instead. */
  look(paths: readonly string[]): Promise<readonly Seen[]>;
  /** The path under which a path is listed, where storage takes several spellings for one. */
  spell(path: string): string;
  /**
   * Compares a folder and all below with the index, without keeping either, in pieces.
   * Errors: those of the storage, when the folder itself cannot be read; others are skipped and told.
   */
  compare(folder: string, known: KnownWalks, options: CompareOptions): AsyncIterable<readonly Difference[]>;
  readonly root: Root;
  readonly mounts: Mounts;
}

/** The top of a storage: with its disk it comes, goes, or is another than before. */
export interface Root {
  /** Errors: `folder_missing`. */
  see(): TreeEntry;
  /** True when it is the folder that was compared last. Never rejects. */
  isSame(): boolean;
  /** Takes the folder for the one that is compared from now on. Result: true when that was another before. */
  take(inode: number): boolean;
  /** Errors: `folder_missing` when it cannot be read. */
  isEmpty(): Promise<boolean>;
  /** A word that changes when the folder, or a disk mounted in it, comes, goes, is emptied, filled, or replaced. Never rejects. */
  state(): Promise<string>;
}

/** Folders in which other disks are mounted. */
export interface Mounts {
  /** Mount points that have lost their disk, at a path, above or below; what was on it is to be kept in the index. */
  lostAt(path: string): readonly string[];
  /** True when each known mount point still has its disk. Never throws. */
  areThere(): boolean;
  /** What is at a path or below is known to be gone for good. */
  forgetWithin(path: string): void;
}
