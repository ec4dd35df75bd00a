import type { EtagHint } from './index-messages.ts';

/** Paths to look at again, and what is known of them besides. */
export interface Hints {
  readonly paths: Iterable<string>;
  /** Etags of files by path. */
  readonly etags?: ReadonlyMap<string, EtagHint>;
  /** Moves that storage made itself. */
  readonly moves?: readonly { readonly path: string; readonly newPath: string }[];
  /** Position of storage's change stream that is covered when these are applied. */
  readonly position?: number;
  /** Folders among the paths came, went, or were replaced: what is in them is compared, even when they seem to be the same. */
  readonly areFoldersNew?: boolean;
  /** Storage itself says what is gone, so nobody has to confirm it. */
  readonly isTrusted?: boolean;
}
