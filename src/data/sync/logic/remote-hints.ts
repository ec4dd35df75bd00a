import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { failedPrecondition, unauthenticated } from '#kernel/fault.ts';
import type { Metrics } from '#kernel/services/service.ts';
import type { DatasourcePlan } from '../../plan.ts';
import type { SyncStore } from '../store/store.ts';
import { pathOfKey } from './path-of-key.ts';

/** An object that another server names; the key as it tells it. */
export interface RemoteRecord {
  readonly bucket: string;
  readonly key: string;
}

/** Since the start. */
export interface SeenHints {
  /** Milliseconds since 1970. */
  readonly lastMs: number | undefined;
  readonly taken: number;
  readonly ignored: number;
}

export interface RemoteHintsOptions {
  readonly plan: Pick<DatasourcePlan, 'datasource' | 'remote'>;
  readonly store: Pick<SyncStore, 'notificationHash' | 'setNotificationHash'>;
  readonly metrics: Pick<Metrics, 'counter'>;
  readonly now: () => number;
  /** Something may have happened to a path. */
  readonly changed: (path: string) => void;
}

/** What the server of a remote bucket tells: which objects are to be looked at, and nothing more is believed. */
export interface RemoteHints {
  /** Makes the token, which replaces the one before. Errors: `failed_precondition` with reason `not_remote`. */
  createToken(): Promise<string>;
  deleteToken(): Promise<void>;
  /** Errors: `unauthenticated`; the same whether there is a token or not. */
  take(token: string, records: readonly RemoteRecord[]): Pick<SeenHints, 'taken' | 'ignored'>;
  /** Absent: nobody may tell. */
  readonly seen: SeenHints | undefined;
  /** Why changes there are not seen at once; empty when they are. */
  readonly limit: string;
}

export async function createRemoteHints(options: RemoteHintsOptions): Promise<RemoteHints> {
  const { plan, store, metrics, now, changed } = options;
  const { datasource, remote } = plan;
  let known = await store.notificationHash();
  let seen: SeenHints = { lastMs: undefined, taken: 0, ignored: 0 };
  const help = 'Objects that the servers of remote buckets named.';
  const counted = (outcome: string) => metrics.counter('cellar_sync_remote_hints_total', help, { datasource, outcome });
  const [takenCount, ignoredCount] = remote ? [counted('taken'), counted('ignored')] : [];

  async function setToken(token: string | undefined): Promise<void> {
    const hash = token === undefined ? undefined : hashOf(token);
    await store.setNotificationHash(hash);
    known = hash;
    seen = { ...seen, lastMs: undefined };
  }

  return {
    async createToken() {
      if (!remote) {
        throw failedPrecondition(`Nobody has to tell what happens in "${datasource}": it is no bucket of another server`, {
          reason: 'not_remote',
          hint: 'What other programs do in a folder is noticed by itself.',
        });
      }
      const token = `cellar_notify_${randomBytes(32).toString('base64url')}`;
      await setToken(token);
      return token;
    },
    deleteToken: () => setToken(undefined),
    take(token, records) {
      if (!remote || known === undefined || !timingSafeEqual(Buffer.from(hashOf(token)), Buffer.from(known))) {
        throw unauthenticated('Cannot take the notification: its token is not known', {
          hint: 'Send the token of the datasource; `cellar datasource notify NAME` makes a new one.',
        });
      }
      let taken = 0;
      for (const record of records) {
        const paths = pathsOf(record, remote);
        for (const path of paths) changed(path);
        if (paths.length > 0) taken += 1;
      }
      const ignored = records.length - taken;
      takenCount?.add(taken);
      ignoredCount?.add(ignored);
      // Without records only the token is tried.
      if (records.length > 0) seen = { lastMs: now(), taken: seen.taken + taken, ignored: seen.ignored + ignored };
      return { taken, ignored };
    },
    get seen() {
      return known === undefined ? undefined : seen;
    },
    get limit() {
      if (known === undefined) return 'the other S3 server does not tell what others change there; full passes find it';
      return seen.lastMs === undefined
        ? 'the other S3 server has told nothing since the start; full passes find what others change'
        : '';
    },
  };
}

/**
 * The paths that a record may mean. Keys come encoded as in a form (S3, MinIO) or as they are (Ceph), and nothing says which; where that makes a
 * difference both are looked at, which costs little and is never wrong.
 */
function pathsOf({ bucket, key }: RemoteRecord, remote: NonNullable<DatasourcePlan['remote']>): string[] {
  if (bucket !== remote.bucket) return [];
  const paths = new Set<string>();
  for (const one of new Set([decoded(key), key])) {
    if (!one.startsWith(remote.prefix)) continue;
    const path = pathOfKey('', one.slice(remote.prefix.length), {});
    if (path) paths.add(path);
  }
  return [...paths];
}

function decoded(key: string): string {
  try {
    return decodeURIComponent(key.replaceAll('+', ' '));
  } catch {
    return key; // It was not encoded.
  }
}

const hashOf = (token: string): string => createHash('sha256').update(token).digest('hex');
