import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { migrate } from '#kernel/database/migrations.ts';
import { Fault } from '#kernel/fault.ts';
import type { DatabaseFactory } from '#kernel/testing/databases.ts';
import { migrations } from '../migrations.ts';
import { createSqlPolicyRows } from './sql.ts';
import type { PolicyRows } from './store.ts';

const policy = (id: string, text = 'permit(principal, action, resource);') => ({ id, description: '', text, updateTimeMs: 1 });
const isFault = (code: string) => (error: unknown) => error instanceof Fault && error.code === code;

/** What holds for the policy store on every engine. */
export function policyStoreSuite(factory: DatabaseFactory, skip: string | false = false): void {
  describe(`the policy store on ${factory.engine}`, { skip }, () => {
    const open = async (t: Parameters<DatabaseFactory['open']>[0]): Promise<PolicyRows> => {
      const database = await factory.open(t);
      await migrate(database, migrations);
      return createSqlPolicyRows(database);
    };

    test('puts, replaces, lists and deletes; every change is a version', async (t) => {
      const rows = await open(t);
      assert.deepEqual(await rows.list('', 10), { policies: [], version: 0 });
      assert.equal((await rows.put(policy('b'), undefined)).version, 1);
      assert.equal((await rows.put(policy('a'), undefined)).version, 2);
      const replaced = await rows.put({ ...policy('b', 'forbid(principal, action, resource);'), description: 'why' }, undefined);
      assert.deepEqual(await rows.get('b'), replaced);
      const { policies, version } = await rows.list('', 10);
      assert.deepEqual(
        policies.map(({ id, version }) => [id, version]),
        [
          ['a', 2],
          ['b', 3],
        ],
      );
      assert.equal(version, 3);
      assert.deepEqual(
        (await rows.list('a', 1)).policies.map(({ id }) => id),
        ['b'],
      );
      await rows.delete('a', undefined);
      assert.equal(await rows.get('a'), undefined);
      await assert.rejects(rows.delete('a', undefined), isFault('not_found'));
      assert.equal((await rows.list('', 10)).version, 4);
    });

    test('an old version changes nothing', async (t) => {
      const rows = await open(t);
      await rows.put(policy('a'), undefined);
      await rows.put(policy('a', 'newer'), 1);
      await assert.rejects(rows.put(policy('a', 'lost'), 1), isFault('aborted'));
      await assert.rejects(rows.delete('a', 1), isFault('aborted'));
      await assert.rejects(rows.put(policy('b'), 1), isFault('aborted'));
      assert.equal((await rows.get('a'))?.text, 'newer');
      assert.equal((await rows.list('', 10)).version, 2);
      await rows.delete('a', 2);
    });

    test('of writers at once that expect the same version one wins', async (t) => {
      const rows = await open(t);
      await rows.put(policy('a'), undefined);
      const outcomes = await Promise.allSettled(Array.from({ length: 8 }, (_, index) => rows.put(policy('a', `${index}`), 1)));
      assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1);
      assert.equal((await rows.list('', 10)).version, 2);
    });

    test('a watcher sees the version grow', async (t) => {
      const rows = await open(t);
      const stopping = new AbortController();
      const seen: number[] = [];
      for await (const version of rows.watch(stopping.signal)) {
        seen.push(version);
        if (version < 2) await rows.put(policy('a', `${version}`), undefined);
        else stopping.abort();
      }
      assert.deepEqual(seen, [0, 1, 2]);
    });
  });
}
