/**
 * One change that was committed to the disk.
 *
 * `put`: a file is new or was replaced. `mkdir`: a folder was made on purpose. `delete`: a file or folder (`key` ends with `/`, with
 * all in it) is gone. `move`: what was at `fromKey` is at `key` now, a folder (both end with `/`) with all in it.
 */
export interface Change {
  readonly bucket: string;
  readonly key: string;
  readonly kind: 'put' | 'mkdir' | 'delete' | 'move';
  /** Only with `move`. */
  readonly fromKey?: string;
  /** 0 for folders and for what is gone. */
  readonly sizeBytes: number;
  readonly mtimeMs: number;
  readonly etag: string;
}

/** Called after each commit and before the write is acknowledged; what it throws is what the writer gets. */
export type RecordChange = (change: Change) => Promise<void>;
