import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, type TestContext, test } from 'node:test';
import { Fault, unavailable } from '../fault.ts';
import { silentLog } from '../log.ts';
import { until } from '../testing/engines.ts';
import { createLeases, type LeaseStore } from './leases.ts';

export interface LeaseStoreFactory {
  readonly name: string;
  /** A store that shares nothing with those of other tests; call `another` for a second program's view of it. */
  open(t: TestContext): Promise<{ readonly store: LeaseStore; another(): Promise<LeaseStore> }>;
}

const never = new AbortController().signal;
const reasonOf = (signal: AbortSignal): string => (signal.reason instanceof Fault ? signal.reason.reason : String(signal.reason));

export function leasesSuite(factory: LeaseStoreFactory, skip: string | false = false): void {
  describe(`leases on ${factory.name}`, { skip }, () => {
    test('one holder at a time, and a greater epoch each time', async (t) => {
      const { store } = await factory.open(t);
      const leases = createLeases({ store, log: silentLog });
      const first = await leases.tryAcquire('a', { holder: 'one', ttlMs: 5000 });
      assert.ok(first);
      assert.equal(await leases.tryAcquire('a', { holder: 'two', ttlMs: 5000 }), undefined);
      const other = await leases.tryAcquire('b', { holder: 'two', ttlMs: 5000 });
      assert.ok(other);
      const state = await leases.read('a');
      assert.deepEqual([state?.holder, state?.epoch], ['one', first.epoch]);
      assert.ok(state && state.remainingMs > 0 && state.remainingMs <= 5000);
      await first.release();
      assert.equal(reasonOf(first.signal), 'lease_released');
      assert.equal(await leases.read('a'), undefined);
      const second = await leases.tryAcquire('a', { holder: 'two words', ttlMs: 5000 });
      assert.ok(second && second.epoch > first.epoch);
      await first.release();
      assert.equal((await leases.read('a'))?.holder, 'two words');
      await second.release();
      await other.release();
    });

    test('waiting ends at a release, and by the signal', async (t) => {
      const { store } = await factory.open(t);
      const leases = createLeases({ store, log: silentLog });
      const held = await leases.acquire('a', { holder: 'one', ttlMs: 1000 }, never);
      const waiting = leases.acquire('a', { holder: 'two', ttlMs: 1000 }, never);
      const impatient = new AbortController();
      const cancelled = leases.acquire('a', { holder: 'three', ttlMs: 1000 }, impatient.signal);
      impatient.abort();
      await assert.rejects(cancelled, { code: 'canceled' });
      await held.release();
      const next = await waiting;
      assert.ok(next.epoch > held.epoch);
      await next.release();
    });

    test('a lease is renewed for as long as its holder lives', async (t) => {
      const { store } = await factory.open(t);
      let renewals = 0;
      const counting: LeaseStore = {
        ...store,
        renew: async (...args) => {
          const isRenewed = await store.renew(...args);
          renewals += 1;
          return isRenewed;
        },
      };
      const leases = createLeases({ store: counting, log: silentLog });
      const held = await leases.acquire('a', { holder: 'one', ttlMs: 300 }, never);
      await until(() => renewals >= 5);
      assert.equal(held.signal.aborted, false);
      assert.equal(await leases.tryAcquire('a', { holder: 'two', ttlMs: 300 }), undefined);
      await held.release();
    });

    test('a holder that cannot renew knows it has lost before anybody else can take over', async (t) => {
      const { store } = await factory.open(t);
      const cutOff: LeaseStore = {
        ...store,
        renew: async () => Promise.reject(unavailable('The store is away')),
        release: async () => undefined,
      };
      const lost = await createLeases({ store: cutOff, log: silentLog }).acquire('a', { holder: 'one', ttlMs: 150 }, never);
      const leases = createLeases({ store, log: silentLog });
      const next = await leases.acquire('a', { holder: 'two', ttlMs: 5000 }, never);
      assert.equal(lost.signal.aborted, true);
      assert.equal(reasonOf(lost.signal), 'lease_lost');
      assert.ok(next.epoch > lost.epoch);
      assert.equal(await store.renew('a', lost.epoch, 5000), false);
      await store.release('a', lost.epoch);
      assert.equal((await leases.read('a'))?.epoch, next.epoch);
      await next.release();
    });

    test('a renewal that hangs does not prolong anything', async (t) => {
      const { store } = await factory.open(t);
      const hanging: LeaseStore = { ...store, renew: () => new Promise(() => undefined) };
      const held = await createLeases({ store: hanging, log: silentLog }).acquire('a', { holder: 'one', ttlMs: 60 }, never);
      if (!held.signal.aborted) await once(held.signal, 'abort');
      assert.equal(reasonOf(held.signal), 'lease_lost');
    });

    test('many programs race: never two at once, epochs in order', async (t) => {
      const { store, another } = await factory.open(t);
      const stores = [store, await another(), await another()];
      let inside = 0;
      const epochs: number[] = [];
      await Promise.all(
        Array.from({ length: 12 }, async (_, index) => {
          const leases = createLeases({ store: stores[index % 3] ?? store, log: silentLog });
          const lease = await leases.acquire('race', { holder: `racer ${index}`, ttlMs: 300 }, never);
          inside += 1;
          assert.equal(inside, 1);
          epochs.push(lease.epoch);
          await store.read('race');
          assert.equal(inside, 1);
          inside -= 1;
          await lease.release();
        }),
      );
      assert.equal(epochs.length, 12);
      assert.deepEqual(
        epochs,
        epochs.toSorted((a, b) => a - b),
      );
      assert.equal(new Set(epochs).size, 12);
    });
  });
}
