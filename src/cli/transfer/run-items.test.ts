import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Code, Fault, notFound, unavailable } from '#kernel/fault.ts';
import type { Item } from './item.ts';
import { runItems } from './run-items.ts';

const file = (from: string): Item => ({ kind: 'file', from, to: from, size: 1, modifyMs: 0 });
const { signal } = new AbortController();

async function* items(...names: string[]): AsyncGenerator<Item> {
  for (const name of names) yield file(name);
}

test('one that fails does not stop the others', async () => {
  const copied: string[] = [];
  const outcome = await runItems(items('a', 'bad', 'c'), {
    parallel: 2,
    signal,
    copy: async ({ from }) => {
      if (from === 'bad') throw notFound('gone');
      copied.push(from);
    },
  });
  assert.deepEqual(copied.toSorted(), ['a', 'c']);
  assert.equal(outcome.files, 2);
  assert.deepEqual(
    outcome.failed.map(({ path, fault }) => [path, fault.code]),
    [['bad', 'not_found']],
  );
});

test('never more at a time than allowed, and all are done', async () => {
  let running = 0;
  let most = 0;
  const outcome = await runItems(items(...Array.from({ length: 50 }, (_, at) => String(at))), {
    parallel: 4,
    signal,
    copy: async () => {
      most = Math.max(most, ++running);
      await new Promise((done) => setImmediate(done));
      running--;
    },
  });
  assert.equal(outcome.files, 50);
  assert.equal(most, 4);
});

test('what the server cannot take now is tried again', async () => {
  let attempts = 0;
  const outcome = await runItems(items('a'), {
    parallel: 1,
    signal,
    copy: async () => {
      if (++attempts < 3) throw unavailable('restarting', { retryAfterMs: 1 });
    },
  });
  assert.deepEqual([attempts, outcome.files, outcome.failed.length], [3, 1, 0]);
});

test('a session that ended, and Ctrl-C, hold for all', async () => {
  for (const code of [Code.Unauthenticated, Code.Canceled]) {
    let attempts = 0;
    const copying = runItems(items('a', 'b', 'c', 'd'), {
      parallel: 1,
      signal,
      copy: async () => {
        attempts++;
        throw new Fault(code, 'no');
      },
    });
    await assert.rejects(copying, { code });
    assert.equal(attempts, 1);
  }
});

test('a folder that cannot be walked is the error of the whole', async () => {
  async function* broken(): AsyncGenerator<Item> {
    yield file('a');
    throw notFound('no such folder');
  }
  await assert.rejects(runItems(broken(), { parallel: 3, signal, copy: async () => undefined }), { code: 'not_found' });
});
