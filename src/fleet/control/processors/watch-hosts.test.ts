import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { silentLog } from '#kernel/log.ts';
import type { Driver } from '../../driver/driver.ts';
import type { StoredHost } from '../store/store.ts';
import { createHostWatches } from './watch-hosts.ts';

/** Engines that tell what a test says, and end when it says so. */
function ground() {
  const calls: { readonly host: string; readonly signal: AbortSignal; tell(cluster: string): void; end(error?: Error): void }[] =
    [];
  const looked: string[] = [];
  const waiting: (() => void)[] = [];
  const wake = (): void => {
    for (const go of waiting.splice(0)) go();
  };
  const driverOf = async (host: string) =>
    ({
      async *watch(signal: AbortSignal) {
        const told: string[] = [];
        let next = Promise.withResolvers<void>();
        const call = {
          host,
          signal,
          tell(cluster: string) {
            told.push(cluster);
            next.resolve();
          },
          end: (error?: Error) => (error ? next.reject(error) : next.resolve()),
        };
        calls.push(call);
        wake();
        const cut = once(signal, 'abort').then(() => Promise.reject(new Error('cut off')));
        cut.catch(() => undefined);
        for (;;) {
          await Promise.race([next.promise, cut]);
          next = Promise.withResolvers();
          const some = told.splice(0);
          if (some.length === 0) return;
          yield* some;
        }
      },
    }) as Partial<Driver> as Driver;
  const look = (cluster: string): void => {
    looked.push(cluster);
    wake();
  };
  const so = async (isSo: () => boolean): Promise<void> => {
    while (!isSo()) await new Promise<void>((resolve) => waiting.push(resolve));
  };
  return { calls, looked, so, watches: createHostWatches({ driverOf, look, log: silentLog }) };
}

const host = (name: string, state: StoredHost['state'] = 'active') => ({ name, state }) as StoredHost;

test('what an engine tells of is looked at, and each engine is listened to once', async (t) => {
  const leave = new AbortController();
  t.after(() => leave.abort());
  const { calls, looked, so, watches } = ground();
  watches.keep([host('a'), host('b')], leave.signal);
  watches.keep([host('a'), host('b')], leave.signal);
  await so(() => calls.length === 2);
  calls.find((call) => call.host === 'b')?.tell('chain');
  await so(() => looked.length === 1);
  assert.deepEqual([looked, calls.map((call) => call.host).sort()], [['chain'], ['a', 'b']]);
});

test('one that ends or fails is listened to again', async (t) => {
  const leave = new AbortController();
  t.after(() => leave.abort());
  const { calls, looked, so, watches } = ground();
  // The pause between two tries keeps nothing alive by itself.
  const alive = setInterval(() => undefined, 1000);
  t.after(() => clearInterval(alive));
  watches.keep([host('a')], leave.signal);
  await so(() => calls.length === 1);
  calls[0]?.end(new Error('gone'));
  await so(() => calls.length === 2);
  calls[1]?.tell('chain');
  await so(() => looked.length === 1);
});

test('hosts that are away or gone are left, all of them with the signal', async () => {
  const leave = new AbortController();
  const { calls, so, watches } = ground();
  watches.keep([host('a'), host('b'), host('c')], leave.signal);
  await so(() => calls.length === 3);
  watches.keep([host('a'), host('b', 'unreachable')], leave.signal);
  const isLeft = (): Record<string, boolean> => Object.fromEntries(calls.map((call) => [call.host, call.signal.aborted]));
  assert.deepEqual(isLeft(), { a: false, b: true, c: true });
  leave.abort();
  assert.deepEqual(isLeft(), { a: true, b: true, c: true });
});
