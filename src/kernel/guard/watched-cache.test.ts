import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unavailable } from '../fault.ts';
import { until } from '../testing/engines.ts';
import { WatchedCache } from './watched-cache.ts';

/** A version that tests change, break and mend. */
function setup(t: { after: (fn: () => void) => void }) {
  const stopping = new AbortController();
  t.after(() => stopping.abort());
  let nowMs = 1000;
  let version = 1n;
  let isAway = false;
  let lost = 0;
  const bell = new EventTarget();
  const ring = (): void => void bell.dispatchEvent(new Event('ring'));
  const cache = new WatchedCache<string>({
    watch: async function* (signal) {
      for (;;) {
        if (isAway) throw unavailable('away');
        const rung = Promise.withResolvers<void>();
        bell.addEventListener('ring', () => rung.resolve(), { once: true });
        signal.addEventListener('abort', () => rung.resolve(), { once: true });
        yield version;
        await rung.promise;
        if (signal.aborted) return;
      }
    },
    signal: stopping.signal,
    now: () => nowMs,
    max: 100,
    ttlMs: 60_000,
    graceMs: 10_000,
    onLost: () => {
      lost++;
    },
  });
  let loads = 0;
  const get = (key = 'a', expireTimeMs?: number): Promise<string> =>
    cache.get(key, async () => {
      loads++;
      if (isAway) throw unavailable('away');
      return { value: `${key}${loads}`, expireTimeMs };
    });
  const isKept = async (key: string): Promise<boolean> => {
    const value = await get(key);
    return value === (await get(key));
  };
  return {
    cache,
    get,
    loads: () => loads,
    lost: () => lost,
    pass: (ms: number) => {
      nowMs += ms;
    },
    grow: () => {
      version++;
      ring();
    },
    setAway: (value: boolean) => {
      isAway = value;
      ring();
    },
    /** Resolves when answers are kept. */
    watched: () => until(() => isKept('probe')),
    isKept,
  };
}

test('an answer is kept until the version changes', async (t) => {
  const { get, grow, watched, cache } = setup(t);
  await watched();
  const first = await get();
  assert.equal(await get(), first);
  grow();
  await until(() => cache.peek('a') === undefined);
  assert.notEqual(await get(), first);
});

test('those who ask at the same time share one load', async (t) => {
  const { get, watched, loads } = setup(t);
  await watched();
  const before = loads();
  assert.equal(new Set(await Promise.all(Array.from({ length: 10 }, () => get()))).size, 1);
  assert.equal(loads(), before + 1);
});

test('an answer ends with its time, or by itself', async (t) => {
  const { get, pass, watched } = setup(t);
  await watched();
  const [long, short] = [await get('long'), await get('short', 6000)];
  pass(4999);
  assert.deepEqual([await get('long'), await get('short')], [long, short]);
  pass(1);
  assert.equal(await get('long'), long);
  assert.notEqual(await get('short'), short);
  pass(60_000);
  assert.notEqual(await get('long'), long);
});

test('an answer that was on its way when the version changed is given but not kept', async (t) => {
  const { cache, grow, watched } = setup(t);
  await watched();
  const gate = Promise.withResolvers<void>();
  const old = cache.get('a', async () => {
    await gate.promise;
    return { value: 'old' };
  });
  await cache.get('b', async () => ({ value: 'b' }));
  grow();
  await until(() => cache.peek('b') === undefined);
  assert.equal(await cache.get('a', async () => ({ value: 'new' })), 'new');
  gate.resolve();
  assert.equal(await old, 'old');
  assert.equal(cache.peek('a'), 'new');
});

test('while the source is away what is kept serves for the grace, then nothing does, until it is back', async (t) => {
  const { get, isKept, pass, watched, setAway, lost } = setup(t);
  await watched();
  const kept = await get('kept');
  const ending = await get('ending', 5000);
  setAway(true);
  await until(() => lost() === 1);
  pass(3999);
  assert.deepEqual([await get('kept'), await get('ending')], [kept, ending]);
  await assert.rejects(get('other'), /away/);
  pass(1);
  await assert.rejects(get('ending'), /away/);
  pass(6000);
  await assert.rejects(get('kept'), /away/);
  setAway(false);
  await until(() => isKept('new'));
  assert.equal(lost(), 1);
});

test('a failure is not kept', async (t) => {
  const { cache, watched } = setup(t);
  await watched();
  await assert.rejects(
    cache.get('a', async () => {
      throw new Error('broken');
    }),
    /broken/,
  );
  assert.equal(await cache.get('a', async () => ({ value: 'fine' })), 'fine');
});
