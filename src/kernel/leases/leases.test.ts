import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLog } from '../log.ts';
import { createLeases, type LeaseClock, type LeaseStore } from './leases.ts';

/** A clock that moves when the test says so. */
function manualClock() {
  let nowMs = 0;
  let sleepers: { readonly at: number; readonly wake: () => void }[] = [];
  const clock: LeaseClock = {
    monotonicMs: () => nowMs,
    rest: (ms, signal) =>
      new Promise((resolve) => {
        if (signal.aborted) return resolve();
        sleepers.push({ at: nowMs + ms, wake: resolve });
        signal.addEventListener('abort', () => resolve(), { once: true });
      }),
  };
  const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  return {
    clock,
    async advance(ms: number): Promise<void> {
      nowMs += ms;
      const due = sleepers.filter(({ at }) => at <= nowMs);
      sleepers = sleepers.filter(({ at }) => at > nowMs);
      for (const { wake } of due) wake();
      await settle();
    },
  };
}

const store = (renew: LeaseStore['renew']): LeaseStore => ({
  take: async () => 7,
  renew,
  release: async () => undefined,
  read: async () => undefined,
});

test('a renewal counts from when it was sent, not from when it was answered', async () => {
  const { clock, advance } = manualClock();
  const answers: ((isRenewed: boolean) => void)[] = [];
  const leases = createLeases({ store: store(() => new Promise((resolve) => answers.push(resolve))), log: silentLog, clock });
  const lease = await leases.tryAcquire('a', { holder: 'one', ttlMs: 300 });
  assert.ok(lease);
  await advance(100); // sent here
  await advance(150); // answered here: good until 100 + 300
  answers[0]?.(true);
  await advance(0);
  await advance(149);
  assert.equal(lease.signal.aborted, false);
  await advance(1);
  assert.equal(lease.signal.aborted, true);
});

test('a lease that another has taken is lost at the next renewal', async () => {
  const { clock, advance } = manualClock();
  const leases = createLeases({ store: store(async () => false), log: silentLog, clock });
  const lease = await leases.tryAcquire('a', { holder: 'one', ttlMs: 300 });
  await advance(100);
  assert.equal(lease?.signal.aborted, true);
});

test('a lease too short to renew is refused', async () => {
  const leases = createLeases({ store: store(async () => true), log: silentLog });
  await assert.rejects(leases.tryAcquire('a', { holder: 'one', ttlMs: 10 }), TypeError);
});
