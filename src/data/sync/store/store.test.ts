import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { migrate } from '#kernel/database/migrations.ts';
import { postgresFactory, postgresForFile, sqliteFactory } from '#kernel/testing/databases.ts';
import { migrations } from './migrations.ts';
import { createSyncStore } from './store.ts';

const { skip, server, stop } = await postgresForFile();
after(stop);

for (const [factory, options] of [
  [sqliteFactory, {}],
  [postgresFactory(server), { skip }],
] as const)
  test(`a pause, mount points and the hash of a token are kept on ${factory.engine}`, options, async (t) => {
    const database = await factory.open(t);
    await migrate(database, migrations);
    const store = createSyncStore(database);
    assert.deepEqual([await store.pause(), await store.mounts()], [undefined, []]);
    for (const reason of ['', 'it\'s "replaced"']) {
      await store.setPause({ sinceMs: 1_795_000_000_000, reason });
      assert.deepEqual({ ...(await store.pause()) }, { sinceMs: 1_795_000_000_000, reason });
    }
    await store.setPause(undefined);
    assert.equal(await store.pause(), undefined);
    await store.setMounts(['b', 'a/c']);
    await store.setMounts(['b', 'a/\u{1f600}']);
    assert.deepEqual((await store.mounts()).toSorted(), ['a/\u{1f600}', 'b']);
    assert.equal(await store.notificationHash(), undefined);
    for (const hash of ['one', 'two', undefined]) {
      await store.setNotificationHash(hash);
      assert.equal(await store.notificationHash(), hash);
    }
  });
