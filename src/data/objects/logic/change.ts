/**
 * One change that was committed to the disk.
 *
 * `put`: a file is new or was replaced. `mkdir`: a folder was made on purpose. `delete`: a file or folder (`key` ends with `/`, with
 * all in it) is gone. `move`: what was at `fromKey` is at `key` now, a folder (both end with `/`) with all in it. A bucket that is made or
 * deleted is a `mkdir` or `delete` of the empty key.
 */
export interface Change {
  readonly bucket: string;
  readonly key: string;
  readonly kind: 'put' | 'mkdir' | 'delete' | 'move';
  /** Only with `move`. */
  readonly fromKey?: string;
  /** Of the file; 0 for folders and for what is gone. */
  readonly sizeBytes: number;
  /** What readers get, where the file has something else, such as its encrypted form. */
  readonly plainSizeBytes?: number;
  readonly mtimeMs: number;
  readonly etag: string;
  /** Set in a bucket that is or was versioned: the version that was written, or the delete marker that was made. */
  readonly versionId?: string;
  /** True for a key that lies in our own folder and that no tree of files has. */
  readonly isHard?: true;
}

/** Called after each commit and before the write is acknowledged; what it throws is what the writer gets. */
export type RecordChange = (change: Change) => Promise<void>;
