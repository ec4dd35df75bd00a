import { Redis, type RedisOptions } from 'ioredis';
import { Code, Fault, unavailable } from '../fault.ts';
import type { Log } from '../log.ts';

export interface OpenRedisOptions {
  /** `redis://user:password@host:port/0`, or `rediss://` with TLS. */
  readonly url: string;
  readonly log: Log;
  /** How long one command may take; 5 000 when absent. */
  readonly commandTimeoutMs?: number;
}

/** A connection to Redis that connects when first used and again whenever it breaks; meanwhile commands are `unavailable`. */
export interface RedisConnection {
  /** Errors: `unavailable` with reason `redis_unreachable`; `internal` when Redis refuses the command. */
  call(command: string, ...args: (string | number | Uint8Array)[]): Promise<unknown>;
  /** The same with replies as bytes. */
  callBytes(command: string, ...args: (string | number | Uint8Array)[]): Promise<unknown>;
  /** Many commands in one go, each with its own outcome: a reply or a `Fault`. */
  pipeline(commands: readonly (readonly [string, ...(string | number | Uint8Array)[]])[]): Promise<readonly unknown[]>;
  /** Another connection to the same server, for commands that block; `commandTimeoutMs` no longer applies. */
  duplicate(): RedisConnection;
  check(signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

export function openRedis({ url, log, commandTimeoutMs = 5000 }: OpenRedisOptions): RedisConnection {
  return connect(url, log, { commandTimeout: commandTimeoutMs });
}

function connect(url: string, log: Log, limits: Pick<RedisOptions, 'commandTimeout'>): RedisConnection {
  const redis = new Redis(url, {
    ...limits,
    lazyConnect: true,
    connectTimeout: 5000,
    // A command waits for one reconnection, then fails; whoever sent it knows better whether to send it again.
    maxRetriesPerRequest: 1,
    autoResendUnfulfilledCommands: false,
    retryStrategy: (attempt) => Math.min(2000, 25 * 2 ** Math.min(attempt, 10)),
  });
  redis.on('error', (error: unknown) => log.debug('The connection to Redis broke', { error }));
  const faulted = async <T>(reply: Promise<T>): Promise<T> => {
    try {
      return await reply;
    } catch (error) {
      throw redisFault(error);
    }
  };
  const args = (values: readonly (string | number | Uint8Array)[]): (string | number | Buffer)[] =>
    values.map((value) => (value instanceof Uint8Array ? Buffer.from(value.buffer, value.byteOffset, value.byteLength) : value));
  return {
    call: (command, ...values) => faulted(redis.call(command, ...args(values))),
    callBytes: (command, ...values) => faulted(redis.callBuffer(command, args(values))),
    async pipeline(commands) {
      const pipeline = redis.pipeline();
      for (const [command, ...values] of commands) pipeline.call(command, ...args(values));
      const replies = await faulted(pipeline.exec());
      return (replies ?? []).map(([error, reply]) => (error ? redisFault(error) : reply));
    },
    duplicate: () => connect(url, log, {}),
    async check(signal) {
      signal.throwIfAborted();
      await faulted(redis.ping());
    },
    async close() {
      redis.disconnect();
    },
  };
}

/** What ioredis throws, as a fault. Replies of the server are named `ReplyError`; everything else is the connection. */
function redisFault(error: unknown): Fault {
  if (error instanceof Fault) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (
    error instanceof Error &&
    error.name === 'ReplyError' &&
    !/^(?:LOADING|MASTERDOWN|READONLY|CLUSTERDOWN|MISCONF|OOM)\b/.test(message)
  ) {
    return new Fault(Code.Internal, 'Redis refused a command', { cause: error });
  }
  return unavailable('Redis cannot be reached', {
    cause: error,
    reason: 'redis_unreachable',
    hint: 'Check that the server runs and that the URL is right; nothing needs a restart.',
  });
}
