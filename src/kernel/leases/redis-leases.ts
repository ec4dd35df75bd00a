import type { RedisConnection } from '../database/redis.ts';
import type { LeaseStore } from './leases.ts';

export interface RedisLeaseStoreOptions {
  readonly redis: RedisConnection;
  /** Before every key; `cellar:lease:` when absent. */
  readonly prefix?: string;
}

/**
 * The lease is a key that expires, `epoch holder`; the last epoch is another key that does not. The next epoch is at least
 * the server's time, so that it is greater than all before even when Redis lost its data. Numbers travel as text because Lua
 * would write large ones with an exponent.
 */
const scripts = {
  take: `
    if redis.call('EXISTS', KEYS[1]) == 1 then return false end
    local time = redis.call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    local epoch = string.format('%.0f', math.max(now, (redis.call('GET', KEYS[2]) or 0) + 1))
    redis.call('SET', KEYS[2], epoch)
    redis.call('SET', KEYS[1], epoch .. ' ' .. ARGV[1], 'PX', ARGV[2])
    return epoch`,
  renew: `
    local held = redis.call('GET', KEYS[1])
    if held and string.match(held, '^%d+') == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
    return 0`,
  release: `
    local held = redis.call('GET', KEYS[1])
    if held and string.match(held, '^%d+') == ARGV[1] then return redis.call('DEL', KEYS[1]) end
    return 0`,
  read: `return { redis.call('GET', KEYS[1]), redis.call('PTTL', KEYS[1]) }`,
} as const;

export function createRedisLeaseStore({ redis, prefix = 'cellar:lease:' }: RedisLeaseStoreOptions): LeaseStore {
  // The braces keep both keys on one node of a cluster.
  const keys = (name: string): [string, string] => [`${prefix}{${name}}`, `${prefix}{${name}}:epoch`];
  const evaluate = (script: keyof typeof scripts, name: string, ...args: (string | number)[]): Promise<unknown> =>
    redis.call('EVAL', scripts[script], 2, ...keys(name), ...args);
  return {
    async take(name, holder, ttlMs) {
      const epoch = (await evaluate('take', name, holder, Math.ceil(ttlMs))) as string | null;
      return epoch === null ? undefined : Number(epoch);
    },
    renew: async (name, epoch, ttlMs) => (await evaluate('renew', name, epoch, Math.ceil(ttlMs))) === 1,
    async release(name, epoch) {
      await evaluate('release', name, epoch);
    },
    async read(name) {
      const [held, remainingMs] = (await evaluate('read', name)) as [string | null, number];
      if (held === null) return undefined;
      const space = held.indexOf(' ');
      return { epoch: Number(held.slice(0, space)), holder: held.slice(space + 1), remainingMs };
    },
  };
}
