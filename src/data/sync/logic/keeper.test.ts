import assert from 'node:assert/strict';
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { silentLog } from '#kernel/log.ts';
import { index } from '../../index/main.ts';
import { startDataPlatform } from '../../testing/data-platform.ts';
import { Keeper } from './keeper.ts';

const noWatches = { add: () => undefined, remove: () => undefined, move: () => undefined, clear: () => undefined };

/** A keeper over a real index that nobody else tells anything. */
async function startKeeper(t: TestContext, askAboveDeletes = 100): Promise<{ root: string; keeper: Keeper }> {
  const data = await startDataPlatform(t, { only: [index.name] });
  const limits = { askAboveDeletes, askAbovePercent: 50 };
  const root = data.folder();
  const { signal } = new AbortController();
  return { root, keeper: new Keeper({ root, index: data.index(), watches: noWatches, limits, log: silentLog, signal }) };
}

test('a pass counts what it deletes, in folders that moved too', async (t) => {
  const { root, keeper } = await startKeeper(t);
  for (const folder of ['gone', 'old/deep']) {
    mkdirSync(join(root, folder), { recursive: true });
    for (const name of ['a', 'b', 'c']) writeFileSync(join(root, folder, name), name);
  }
  await keeper.pass('');
  rmSync(join(root, 'gone'), { recursive: true });
  rmSync(join(root, 'old/deep/a'));
  renameSync(join(root, 'old'), join(root, 'new'));
  const { moved, deleted } = await keeper.pass('');
  assert.deepEqual({ moved, deleted }, { moved: 1, deleted: 5 });
});

test('nothing is deleted when it is too much, until that is confirmed', async (t) => {
  const { root, keeper } = await startKeeper(t, 1);
  for (const name of ['a', 'b', 'c']) writeFileSync(join(root, name), name);
  await keeper.pass('');
  for (const name of ['a', 'b']) rmSync(join(root, name));
  await assert.rejects(keeper.pass(''), { reason: 'deletes_unconfirmed' });
  assert.match(keeper.blocked ?? '', /^2 of 3 files and folders are gone/);
  assert.equal((await keeper.pass('', { isConfirmed: true })).deleted, 2);
  assert.equal(keeper.blocked, undefined);
});
