import { aborted, Fault } from '#kernel/fault.ts';
import type { Leases } from '#kernel/leases/leases.ts';
import type { Log } from '#kernel/log.ts';
import { rest } from '#lib/rest.ts';
import { acting } from '#s3/actor.ts';
import type { Backend, ListedVersion, ObjectInfo, VersionPage } from '#s3/backend.ts';
import type { BucketSettings, LifecycleRule } from '#s3/bucket-settings.ts';
import {
  asksForTags,
  type LifecycleAction,
  type LifecycleVersion,
  lifecyclePrefixes,
  planLifecycle,
  planUpload,
} from '../logic/lifecycle-plan.ts';

export interface LifecycleOptions {
  readonly backend: Pick<Backend, 'listVersions' | 'head' | 'delete' | 'listUploads' | 'abortUpload'>;
  /** Of every bucket, by name. */
  readonly allSettings: () => Promise<ReadonlyMap<string, BucketSettings>>;
  /** How long a day is. */
  readonly dayMs: () => number;
  readonly log: Log;
  readonly now: () => number;
}

export interface LifecycleRunOptions extends LifecycleOptions {
  /** Time between two passes. */
  readonly everyMs: () => number;
  /** Of all that look after the same buckets one does it. */
  readonly leases: Leases;
  readonly leaseName: string;
  readonly holder: string;
  /** Called after each pass. */
  readonly observe?: (report: LifecycleReport) => void;
}

export interface LifecycleReport {
  /** Versions that rules were asked about. */
  readonly seen: number;
  readonly expired: number;
  readonly deleted: number;
  readonly abortedUploads: number;
  readonly failed: number;
}

const pageSize = 1_000;
const leaseMs = 30_000;

/** Does what the lifecycle rules of buckets say, again and again, until the signal fires. */
export async function runLifecycle(options: LifecycleRunOptions, signal: AbortSignal): Promise<void> {
  const { leases, leaseName, holder, everyMs, log, observe } = options;
  while (!signal.aborted) {
    try {
      const lease = await leases.acquire(leaseName, { holder, ttlMs: leaseMs }, signal);
      try {
        const held = AbortSignal.any([signal, lease.signal]);
        while (!held.aborted) {
          const report = await lifecyclePass(options, held);
          observe?.(report);
          await rest(everyMs(), held);
        }
      } finally {
        await lease.release();
      }
    } catch (error) {
      if (signal.aborted) return;
      log.warn('lifecycle rules could not be followed', { error });
      await rest(Math.min(everyMs(), 60_000), signal);
    }
  }
}

/** One pass over all buckets with rules, page by page. What fails is logged, and tried again with the next pass. */
export async function lifecyclePass(options: LifecycleOptions, signal: AbortSignal): Promise<LifecycleReport> {
  const total = { seen: 0, expired: 0, deleted: 0, abortedUploads: 0, failed: 0 };
  for (const [bucket, { lifecycle = [] }] of await options.allSettings()) {
    if (!lifecycle.some(({ isEnabled }) => isEnabled)) continue;
    try {
      const pass = new BucketPass(options, bucket, lifecycle, total);
      for (const prefix of lifecyclePrefixes(lifecycle)) await pass.walk(prefix, signal);
      await pass.uploads(signal);
    } catch (error) {
      if (signal.aborted) throw error;
      // Such as a bucket whose disk is away, or that was deleted meanwhile.
      total.failed += 1;
      options.log.warn('the lifecycle rules of a bucket could not be followed', { bucket, error });
    }
  }
  return total;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

class BucketPass {
  readonly #options: LifecycleOptions;
  readonly #bucket: string;
  readonly #rules: readonly LifecycleRule[];
  readonly #total: Mutable<LifecycleReport>;

  constructor(options: LifecycleOptions, bucket: string, rules: readonly LifecycleRule[], total: Mutable<LifecycleReport>) {
    this.#options = options;
    this.#bucket = bucket;
    this.#rules = rules;
    this.#total = total;
  }

  async walk(prefix: string, signal: AbortSignal): Promise<void> {
    let group: ListedVersion[] = [];
    let next: VersionPage['next'] = { key: '' };
    while (next) {
      signal.throwIfAborted();
      const place = { after: next.key, afterVersionId: next.versionId };
      const page: VersionPage = await this.#options.backend.listVersions(this.#bucket, {
        ...{ prefix, delimiter: '', limit: pageSize },
        ...place,
      });
      for (const version of page.versions) {
        // The versions of a key may be on several pages.
        if (group[0] && group[0].key !== version.key) {
          await this.#apply(group, signal);
          group = [];
        }
        group.push(version);
      }
      next = page.next;
    }
    await this.#apply(group, signal);
  }

  async uploads(signal: AbortSignal): Promise<void> {
    const { backend, now, dayMs } = this.#options;
    if (!this.#rules.some(({ abortUploadsAfterDays }) => abortUploadsAfterDays !== undefined)) return;
    for (const upload of await backend.listUploads(this.#bucket)) {
      signal.throwIfAborted();
      if (!planUpload(this.#rules, upload, now(), dayMs())) continue;
      await this.#try(upload.key, async () => {
        await backend.abortUpload({ bucket: this.#bucket, ...upload });
        this.#total.abortedUploads += 1;
      });
    }
  }

  async #apply(listed: readonly ListedVersion[], signal: AbortSignal): Promise<void> {
    const [first] = listed;
    if (!first) return;
    const { now, dayMs } = this.#options;
    this.#total.seen += listed.length;
    const versions = asksForTags(this.#rules) ? await this.#withTags(listed) : listed;
    for (const action of planLifecycle(this.#rules, first.key, versions, now(), dayMs())) {
      signal.throwIfAborted();
      const version = listed.find(({ versionId }) => versionId === action.versionId);
      if (version) await this.#try(first.key, () => this.#do(action, version));
    }
  }

  async #withTags(listed: readonly ListedVersion[]): Promise<readonly LifecycleVersion[]> {
    const found: LifecycleVersion[] = [];
    for (const version of listed) {
      const { key, versionId, isDeleteMarker } = version;
      const info = isDeleteMarker
        ? undefined
        : await this.#options.backend.head({ bucket: this.#bucket, key, versionId }).catch(goneOnly);
      found.push({ ...version, tags: info?.tags });
    }
    return found;
  }

  async #do({ kind }: LifecycleAction, { key, versionId, isDeleteMarker, etag, mtimeMs }: ListedVersion): Promise<void> {
    const nowMs = this.#options.now();
    // Somebody may have written it anew, or locked it, since it was listed.
    const condition = (found: ObjectInfo | undefined): void => {
      const isSame = isDeleteMarker ? found === undefined : found?.etag === etag && found.mtimeMs === mtimeMs;
      const isLocked = found?.hasLegalHold === true || (found?.retention !== undefined && found.retention.untilMs > nowMs);
      if (!isSame || (isLocked && kind === 'delete')) throw changed();
    };
    const ref = { bucket: this.#bucket, key, ...(kind === 'delete' ? { versionId } : {}) };
    await this.#options.backend.delete(ref, { condition });
    this.#total[kind === 'delete' ? 'deleted' : 'expired'] += 1;
  }

  /** What fails for one key must not hold up the others. */
  async #try(key: string, task: () => Promise<void>): Promise<void> {
    try {
      await acting.run({ operation: 'LifecycleExpiration', key, userId: '', address: '', requestId: '' }, task);
    } catch (error) {
      if (error instanceof Fault && (error.reason === changedReason || error.reason === 'no_such_upload')) return;
      this.#total.failed += 1;
      this.#options.log.warn('a lifecycle rule could not be followed', { bucket: this.#bucket, key, error });
    }
  }
}

const changedReason = 'changed_meanwhile';
const changed = (): Fault => aborted('The version is another one than was listed', { reason: changedReason });

function goneOnly(error: unknown): undefined {
  if (error instanceof Fault && ['no_such_key', 'no_such_version', 'delete_marker'].includes(error.reason)) return undefined;
  throw error;
}
