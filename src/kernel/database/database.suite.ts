import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Fault } from '../fault.ts';
import type { DatabaseFactory } from '../testing/databases.ts';
import { type Database, join } from './database.ts';
import { migrate } from './migrations.ts';

const isFault = (reason: string) => (error: unknown) => {
  assert.ok(error instanceof Fault, String(error));
  assert.equal(error.reason, reason, error.message);
  return true;
};

const tables = [
  {
    id: 1,
    name: 'items',
    sql: `create table items (id bigint primary key, name {text} not null unique, data {bytes}, size bigint check (size >= 0));
          create table parts (item bigint not null references items (id), label {text} not null)`,
  },
] as const;

/** What holds for a database on every engine. */
export function databaseSuite(factory: DatabaseFactory, skip: string | false = false): void {
  const { engine } = factory;
  describe(`a database on ${engine}`, { skip }, () => {
    const ready = async (t: Parameters<DatabaseFactory['open']>[0]): Promise<Database> => {
      const database = await factory.open(t);
      await migrate(database, tables);
      return database;
    };

    test('values come back as they went in', async (t) => {
      const database = await ready(t);
      const data = Uint8Array.from([0, 1, 255]);
      const changed = await database.run(
        'insert into items (id, name, data, size) values ($1, $2, $3, $4)',
        1,
        "it's $1",
        data,
        2 ** 53 - 1,
      );
      assert.deepEqual(changed, { changes: 1 });
      await database.run('insert into items (id, name, data, size) values ($1, $2, $3, $4)', 2n ** 62n, 'ü', null, 0);
      const rows = await database.all<{ id: number | bigint; name: string; data: Uint8Array | null; size: number }>(
        'select id, name, data, size from items order by id',
      );
      assert.deepEqual(
        rows.map((row) => ({ ...row, data: row.data && [...row.data] })),
        [
          { id: 1, name: "it's $1", data: [0, 1, 255], size: 2 ** 53 - 1 },
          { id: 2n ** 62n, name: 'ü', data: null, size: 0 },
        ],
      );
      assert.deepEqual(await database.get('select name from items where id = $1', 1), { name: "it's $1" });
      assert.equal(await database.get('select name from items where id = $1', 9), undefined);
      assert.deepEqual(await database.get('select count(*) as count, sum(size) as sum, 1 = 1 as yes from items'), {
        count: 2,
        sum: 2 ** 53 - 1,
        yes: 1,
      });
    });

    test('rows that a write returns come back, once written', async (t) => {
      const database = await ready(t);
      const returned = await database.get('insert into items (id, name) values ($1, $2) returning id, name', 2n ** 60n, 'a');
      assert.deepEqual(returned, { id: 2n ** 60n, name: 'a' });
      assert.deepEqual(await database.get('select count(*) as count from items'), { count: 1 });
    });

    test('text sorts by code point', async (t) => {
      const database = await ready(t);
      for (const [index, name] of ['b', 'B', 'a', '_', 'Z', 'ä'].entries())
        await database.run('insert into items (id, name) values ($1, $2)', index, name);
      const rows = await database.all<{ name: string }>('select name from items order by name');
      assert.deepEqual(
        rows.map((row) => row.name),
        ['B', 'Z', '_', 'a', 'b', 'ä'],
      );
    });

    test('a transaction is whole or nothing, and invisible until it commits', async (t) => {
      const database = await ready(t);
      await assert.rejects(
        database.transaction(async (tx) => {
          await tx.run('insert into items (id, name) values (1, $1)', 'a');
          assert.deepEqual(await tx.get('select count(*) as count from items'), { count: 1 });
          assert.deepEqual(await database.get('select count(*) as count from items'), { count: 0 });
          throw new Error('no');
        }),
        /no/,
      );
      assert.deepEqual(await database.get('select count(*) as count from items'), { count: 0 });
    });

    test('frozen reads see one moment while others write', async (t) => {
      const database = await ready(t);
      await database.run("insert into items (id, name) values (1, 'a')");
      const count = 'select count(*) as count from items';
      await database.frozen(async (reads) => {
        assert.deepEqual(await reads.get(count), { count: 1 });
        await database.run("insert into items (id, name) values (2, 'b')");
        assert.deepEqual(await database.get(count), { count: 2 });
        assert.deepEqual(await reads.all(count), [{ count: 1 }]);
        if (reads.sqlite) assert.deepEqual(reads.sqlite.rows(count), [[1]]);
      });
      await assert.rejects(database.frozen(async (reads) => reads.get('select nothing from items')));
      assert.deepEqual(await database.get(count), { count: 2 });
    });

    test('joined functions share the caller’s transaction', async (t) => {
      const database = await ready(t);
      const add = (session: Parameters<typeof join>[0], id: number) =>
        join(session, (tx) => tx.run('insert into items (id, name) values ($1, $2)', id, `n${id}`));
      await add(database, 1);
      await assert.rejects(
        database.transaction(async (tx) => {
          await add(tx, 2);
          throw new Error('no');
        }),
      );
      assert.deepEqual(await database.all('select id from items'), [{ id: 1 }]);
    });

    test('callbacks after commit run after it, and not after a rollback', async (t) => {
      const database = await ready(t);
      const seen: string[] = [];
      await database.transaction(async (tx) => {
        tx.afterCommit(() => seen.push('committed'));
        seen.push('body');
      });
      await assert.rejects(
        database.transaction(async (tx) => {
          tx.afterCommit(() => seen.push('wrong'));
          throw new Error('no');
        }),
      );
      assert.deepEqual(seen, ['body', 'committed']);
    });

    test('broken rules are told apart', async (t) => {
      const database = await ready(t);
      await database.run('insert into items (id, name) values (1, $1)', 'a');
      await assert.rejects(database.run('insert into items (id, name) values (2, $1)', 'a'), isFault('unique_violation'));
      await assert.rejects(database.run('insert into items (id, name) values (1, $1)', 'b'), isFault('unique_violation'));
      await assert.rejects(database.run('insert into parts (item, label) values (7, $1)', 'a'), isFault('foreign_key_violation'));
      await assert.rejects(
        database.run('insert into items (id, name, size) values (3, $1, -1)', 'c'),
        isFault('constraint_violation'),
      );
      await assert.rejects(database.run('insert into items (id, name) values (3, null)'), isFault('constraint_violation'));
      await assert.rejects(database.run('insert into nowhere values (1)'), isFault('internal'));
    });

    test('a failed statement loses its transaction, even when the error is swallowed', async (t) => {
      const database = await ready(t);
      await database.run('insert into items (id, name) values (1, $1)', 'a');
      const swallowed = database.transaction(async (tx) => {
        await tx.run('insert into items (id, name) values (2, $1)', 'b');
        await tx.run('insert into items (id, name) values (3, $1)', 'a').catch(() => undefined);
      });
      await assert.rejects(swallowed, isFault('transaction_lost'));
      assert.deepEqual(await database.all('select id from items'), [{ id: 1 }]);
    });

    test('a transaction that stays open too long is rolled back and its late statements are refused', async (t) => {
      const database = await ready(t);
      const late = Promise.withResolvers<unknown>();
      const gate = Promise.withResolvers<void>();
      const slow = database.transaction(
        async (tx) => {
          await tx.run('insert into items (id, name) values (1, $1)', 'a');
          await gate.promise;
          await tx.run('insert into items (id, name) values (2, $1)', 'b').catch(late.resolve);
        },
        { timeoutMs: 50 },
      );
      await assert.rejects(slow, isFault('transaction_timeout'));
      gate.resolve();
      assert.ok(isFault('transaction_lost')(await late.promise));
      assert.deepEqual(await database.all('select id from items'), []);
      await database.run('insert into items (id, name) values (3, $1)', 'c');
    });

    test('a transaction is cancelled by its signal', async (t) => {
      const database = await ready(t);
      const controller = new AbortController();
      const cancelled = database.transaction(
        async (tx) => {
          await tx.run('insert into items (id, name) values (1, $1)', 'a');
          controller.abort();
          await tx.run('insert into items (id, name) values (2, $1)', 'b').catch(() => undefined);
        },
        { signal: controller.signal },
      );
      await assert.rejects(cancelled, isFault('canceled'));
      await assert.rejects(
        database.transaction(async () => undefined, { signal: controller.signal }),
        isFault('canceled'),
      );
      assert.deepEqual(await database.all('select id from items'), []);
      await database.run('insert into items (id, name) values (3, $1)', 'c');
    });

    test('a transaction cancelled before its turn leaves the way free for the next', async (t) => {
      const database = await ready(t);
      await assert.rejects(
        database.transaction(async () => undefined, { signal: AbortSignal.abort() }),
        isFault('canceled'),
      );
      await database.run('insert into items (id, name) values (1, $1)', 'a');
    });

    test('grouped transactions fail one by one', async (t) => {
      const database = await ready(t);
      const outcomes = await Promise.allSettled(
        [1, 2, 1, 3].map((id, index) =>
          database.transaction((tx) => tx.run('insert into items (id, name) values ($1, $2)', id, `n${index}`), { group: true }),
        ),
      );
      assert.deepEqual(outcomes.map(({ status }) => status).toSorted(), ['fulfilled', 'fulfilled', 'fulfilled', 'rejected']);
      assert.deepEqual(await database.all('select id from items order by id'), [{ id: 1 }, { id: 2 }, { id: 3 }]);
    });

    test('many transactions at once lose no update', async (t) => {
      const database = await ready(t);
      await database.run('insert into items (id, name, size) values (1, $1, 0)', 'counter');
      await Promise.all(Array.from({ length: 200 }, () => database.run('update items set size = size + 1 where id = 1')));
      assert.deepEqual(await database.get('select size from items'), { size: 200 });
    });

    test('listeners wake after the commit, not before and not after a rollback', async (t) => {
      const database = await ready(t);
      const woken = Promise.withResolvers<number>();
      const stop = database.listen('topic', async () => {
        const row = await database.get<{ count: number }>('select count(*) as count from items');
        if (row?.count) woken.resolve(row.count);
      });
      await database.transaction(async (tx) => {
        await tx.run('insert into items (id, name) values (1, $1)', 'a');
        await tx.notify('topic');
      });
      assert.equal(await woken.promise, 1);
      stop();
    });

    test('a closed database says so', async (t) => {
      const database = await ready(t);
      await database.check(AbortSignal.timeout(5000));
      await database.close();
      await database.close();
      await assert.rejects(database.get('select 1 as one'), isFault('database_closed'));
      await assert.rejects(database.run('delete from items'), isFault('database_closed'));
      await assert.rejects(database.check(AbortSignal.timeout(5000)), isFault('database_closed'));
    });
  });

  describe(`migrations on ${engine}`, { skip }, () => {
    test('apply once, then what is new', async (t) => {
      const database = await factory.open(t);
      assert.equal(await migrate(database, tables), 1);
      assert.equal(await migrate(database, tables), 0);
      const more = [
        ...tables,
        { id: 2, name: 'more', sql: { sqlite: 'create table more (a blob)', postgres: 'create table more (a bytea)' } },
      ];
      assert.equal(await migrate(database, more), 1);
      assert.equal(await migrate(database, [{ id: 1, name: 'x', sql: 'create table x (a bigint)' }], { area: 'kernel' }), 1);
    });

    test('two starters at once apply each migration once', async (t) => {
      const url = await factory.createUrl(t);
      const databases = await Promise.all([1, 2, 3].map(() => factory.open(t, { url })));
      const counts = await Promise.all(databases.map((database) => migrate(database, tables)));
      assert.equal(
        counts.reduce((sum, count) => sum + count),
        1,
      );
    });

    test('a failing migration leaves nothing behind', async (t) => {
      const database = await factory.open(t);
      const broken = [{ id: 1, name: 'broken', sql: 'create table a (b bigint); insert into nowhere values (1)' }];
      await assert.rejects(migrate(database, broken), isFault('internal'));
      assert.equal(await migrate(database, [{ id: 1, name: 'mended', sql: 'create table a (b bigint)' }]), 1);
    });

    test('a database newer than the program, and an edited migration, are refused', async (t) => {
      const database = await factory.open(t);
      await migrate(database, tables);
      await assert.rejects(migrate(database, []), isFault('database_newer'));
      await assert.rejects(
        migrate(database, [{ ...tables[0], sql: 'create table other (a bigint)' }]),
        isFault('migration_changed'),
      );
      assert.equal(await migrate(database, [{ ...tables[0], sql: tables[0].sql.replaceAll('\n', ' \n ') }]), 0);
      await assert.rejects(migrate(database, [{ ...tables[0], id: 2 }]), TypeError);
    });
  });
}
