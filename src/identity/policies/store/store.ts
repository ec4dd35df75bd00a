/** A policy as it is kept. */
export interface StoredPolicy {
  readonly id: string;
  readonly description: string;
  /** Cedar; the store does not read it. */
  readonly text: string;
  /** The store's version when this was last written: what its etag is made of. */
  readonly version: number;
  /** Unit: milliseconds since 1970. */
  readonly updateTimeMs: number;
}

/** Keeps policies. Every change, and only a change, makes the version greater by one. */
export interface PolicyRows {
  /**
   * Creates or replaces. With `expectedVersion`, only when that is the stored one.
   * Errors: `aborted` when it is not.
   */
  put(policy: Omit<StoredPolicy, 'version'>, expectedVersion: number | undefined): Promise<StoredPolicy>;
  get(id: string): Promise<StoredPolicy | undefined>;
  /** Up to `limit` policies with an id after `after`, by id, and the version they belong to. */
  list(after: string, limit: number): Promise<{ readonly policies: readonly StoredPolicy[]; readonly version: number }>;
  /** Errors: `not_found`; `aborted` as with `put`. */
  delete(id: string, expectedVersion: number | undefined): Promise<void>;
  /** The version at once and after every change. */
  watch(signal: AbortSignal): AsyncIterable<number>;
}
