import type { Database } from '../database/database.ts';
import type { RedisConnection } from '../database/redis.ts';
import type { Leases } from '../leases/leases.ts';
import type { Log } from '../log.ts';
import type { Stream, StreamSource } from '../streams/streams.ts';

/** Engines that all services of an installation share: leases, and streams between machines. */
export interface Engines {
  leases(): Promise<Leases>;
  /** Also offers a stream through Redis, when that is configured, until the signal fires. `name` is unique in the installation. */
  publish(name: string, stream: Stream, signal: AbortSignal): void;
  /** The same stream read through Redis, when that is configured; else as it is. */
  follow(name: string, source: StreamSource): Promise<StreamSource>;
  close(): Promise<void>;
}

export interface EnginesOptions {
  /** `redis://...`, or empty: streams are read from their producers. */
  readonly streamsUrl: string;
  /** `redis://...`, or empty: leases are rows in the common database. */
  readonly leasesUrl: string;
  readonly openDatabase: () => Promise<Database>;
  readonly log: Log;
}

/** Nothing is connected, and no client library loaded, before it is needed. */
export function createEngines({ streamsUrl, leasesUrl, openDatabase, log }: EnginesOptions): Engines {
  const connections = new Map<string, Promise<RedisConnection>>();
  let database: Promise<Database> | undefined;
  let leases: Promise<Leases> | undefined;

  const redis = (url: string): Promise<RedisConnection> => {
    const known = connections.get(url);
    if (known) return known;
    const opened = import('../database/redis.ts').then(({ openRedis }) => openRedis({ url, log }));
    connections.set(url, opened);
    return opened;
  };
  const openLeases = async (): Promise<Leases> => {
    const { createLeases } = await import('../leases/leases.ts');
    if (leasesUrl) {
      const { createRedisLeaseStore } = await import('../leases/redis-leases.ts');
      return createLeases({ store: createRedisLeaseStore({ redis: await redis(leasesUrl) }), log });
    }
    const { openSqlLeaseStore } = await import('../leases/sql-leases.ts');
    database ??= openDatabase();
    return createLeases({ store: await openSqlLeaseStore({ database: await database }), log });
  };

  return {
    leases: () => {
      // A failed opening is forgotten: the database may be there next time.
      leases ??= openLeases().catch((error: unknown) => {
        leases = undefined;
        throw error;
      });
      return leases;
    },
    publish: (name, stream, signal) => {
      if (!streamsUrl) return;
      const relay = async (): Promise<void> => {
        const { runRedisRelay } = await import('../streams/redis-stream.ts');
        await runRedisRelay({ source: named(name, stream), redis: await redis(streamsUrl), log }, signal);
      };
      relay().catch((error: unknown) => log.error('the relay of a stream has ended', { stream: name, error }));
    },
    follow: async (name, source) => {
      if (!streamsUrl) return source;
      const { createRedisSource } = await import('../streams/redis-stream.ts');
      return createRedisSource({ source: named(name, source), redis: await redis(streamsUrl), log });
    },
    close: async () => {
      for (const opened of connections.values()) await (await opened).close();
      await (await database)?.close();
    },
  };
}

/** A source under the name it has in the installation, since Redis keeps the streams of all services. */
function named(name: string, source: StreamSource): StreamSource {
  return {
    name,
    read: (after, limit, signal) => source.read(after, limit, signal),
    head: (signal) => source.head(signal),
    subscribe: (options) => source.subscribe(options),
  };
}
