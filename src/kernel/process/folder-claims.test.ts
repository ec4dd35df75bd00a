import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '../testing/engines.ts';
import { createFolderClaims, holderOf } from './folder-claims.ts';
import { lockHome } from './lock.ts';

test('a folder is served by one home at a time, as long as that one runs', async () => {
  using folder = temporaryFolder();
  const [one, two, a, b] = ['one', 'two', 'a', 'b'].map((name) => join(folder.path, name)) as [string, string, string, string];
  mkdirSync(a);
  mkdirSync(b);
  const locks = [await lockHome(one), await lockHome(two)] as const;
  const [first, second] = [createFolderClaims(one), createFolderClaims(two)];
  assert.deepEqual(await first.take({ docs: a, gone: join(folder.path, 'gone') }), {});
  const { docs, other, ...rest } = await second.take({ docs: a, other: b });
  assert.match(docs ?? '', /another Cellar serves it.* with the home .*one$/);
  assert.deepEqual([other, rest], [undefined, {}]);
  assert.match((await holderOf(b, one)) ?? '', /two$/);
  assert.equal(await holderOf(b, two), undefined);

  // Given up by not being claimed any more, by the end of the server, and by its death.
  assert.deepEqual(await first.take({}), {});
  assert.deepEqual(await second.take({ docs: a, other: b }), {});
  await second.release();
  assert.deepEqual(await first.take({ docs: a, other: b }), {});
  await locks[0].release();
  assert.deepEqual(await second.take({ docs: a, other: b }), {});
  // What somebody else has by now is not given up by whoever had it.
  await first.release();
  assert.match((await holderOf(a, one)) ?? '', /two$/);
  await second.release();
  await locks[1].release();
});
