import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { type DatabaseFactory, postgresFactory, postgresForFile, sqliteFactory } from '../testing/databases.ts';
import { type ConfigChange, openLiveConfig } from './live-config.ts';

const { skip, server, stop } = await postgresForFile();
after(stop);

const by = { author: 'ada' };

function liveConfigSuite(databases: DatabaseFactory, isSkipped: string | false = false): void {
  describe(`live configuration on ${databases.engine}`, { skip: isSkipped }, () => {
    test('values are set, listed, unset and remembered', async (t) => {
      let now = 1000;
      const config = await openLiveConfig({ database: await databases.open(t), now: () => now });
      assert.equal(await config.get('s3.region'), undefined);
      assert.equal(await config.version(), 0);
      assert.equal(await config.set('s3.region', 'eu', by), 1);
      now = 2000;
      assert.equal(await config.set('s3.limits', { parts: [1, 2], strict: null }, { author: 'bob' }), 2);
      assert.equal(await config.set('s3.region', 'us', by), 3);
      assert.deepEqual(await config.get('s3.region'), { key: 's3.region', value: 'us', version: 3, author: 'ada', timeMs: 2000 });
      assert.deepEqual(
        (await config.list('s3.')).map(({ key, value }) => [key, value]),
        [
          ['s3.limits', { parts: [1, 2], strict: null }],
          ['s3.region', 'us'],
        ],
      );
      assert.deepEqual(await config.list('web.'), []);
      assert.equal(await config.unset('s3.region', by), 4);
      assert.equal(await config.unset('s3.region', by), undefined);
      assert.equal(await config.get('s3.region'), undefined);
      assert.deepEqual(await config.history('s3.region'), [
        { key: 's3.region', version: 4, author: 'ada', timeMs: 2000 },
        { key: 's3.region', version: 3, author: 'ada', timeMs: 2000, value: 'us' },
        { key: 's3.region', version: 1, author: 'ada', timeMs: 1000, value: 'eu' },
      ]);
      assert.deepEqual(
        (await config.history('s3.region', { before: 3, limit: 1 })).map(({ version }) => version),
        [1],
      );
    });

    test('a change made on an old version is refused and uses up none', async (t) => {
      const config = await openLiveConfig({ database: await databases.open(t) });
      await config.set('a', 1, { ...by, expectedVersion: 0 });
      await assert.rejects(config.set('a', 2, { ...by, expectedVersion: 0 }), { reason: 'version_conflict' });
      await assert.rejects(config.unset('a', { ...by, expectedVersion: 7 }), { reason: 'version_conflict' });
      assert.equal(await config.set('a', 2, { ...by, expectedVersion: 1 }), 2);
      const outcomes = await Promise.allSettled(
        [1, 2, 3, 4, 5].map((value) => config.set('a', value, { ...by, expectedVersion: 2 })),
      );
      assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1);
      assert.equal(await config.version(), 3);
    });

    test('watchers see every change, from where they ask', async (t) => {
      const config = await openLiveConfig({ database: await databases.open(t) });
      await config.set('a', 1, by);
      const controller = new AbortController();
      const seen: ConfigChange[] = [];
      const watching = (async () => {
        for await (const changes of config.watch({ after: 0, signal: controller.signal })) {
          seen.push(...changes);
          if (seen.length >= 3) controller.abort();
        }
      })();
      await config.set('b', [true], by);
      await config.unset('a', by);
      await watching;
      assert.deepEqual(
        seen.map(({ key, value, version }) => [key, value, version]),
        [
          ['a', 1, 1],
          ['b', [true], 2],
          ['a', undefined, 3],
        ],
      );
    });

    test('a change belongs to the caller’s transaction', async (t) => {
      const database = await databases.open(t);
      const config = await openLiveConfig({ database });
      await assert.rejects(
        database.transaction(async (tx) => {
          await config.set('a', 1, by, tx);
          throw new Error('no');
        }),
      );
      assert.equal(await config.get('a'), undefined);
      assert.equal(await config.version(), 0);
    });

    test('limits', async (t) => {
      const config = await openLiveConfig({ database: await databases.open(t) });
      await assert.rejects(config.set('', 1, by), { code: 'invalid_argument' });
      await assert.rejects(config.set('k'.repeat(201), 1, by), { code: 'invalid_argument' });
      await assert.rejects(config.set('a', 'x'.repeat(70_000), by), { code: 'invalid_argument' });
    });
  });
}

liveConfigSuite(sqliteFactory);
liveConfigSuite(postgresFactory(server), skip);
