import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { postgresFactory, postgresForFile, sqliteFactory } from '../testing/databases.ts';
import { counterTable, createCounter } from './counter.ts';
import { migrate } from './migrations.ts';

const { skip, server, stop } = await postgresForFile();
after(stop);

for (const factory of [sqliteFactory, postgresFactory(server)]) {
  describe(`a counter on ${factory.engine}`, { skip: factory.engine === 'postgres' && skip }, () => {
    const ready = async (t: Parameters<typeof factory.open>[0]) => {
      const database = await factory.open(t);
      await migrate(database, [{ id: 1, name: 'counters', sql: counterTable }]);
      return database;
    };

    test('grows by one at a time, each counter by itself, whoever grows it', async (t) => {
      const database = await ready(t);
      const [one, other] = [createCounter(database, 'one'), createCounter(database, 'other')];
      assert.equal(await one.read(), 0);
      const values = await Promise.all(Array.from({ length: 20 }, () => database.transaction((tx) => one.grow(tx))));
      assert.deepEqual(
        values.toSorted((a, b) => a - b),
        Array.from({ length: 20 }, (_, index) => index + 1),
      );
      assert.equal(await one.read(), 20);
      assert.equal(await other.read(), 0);
    });

    test('does not grow with a transaction that is rolled back', async (t) => {
      const database = await ready(t);
      const counter = createCounter(database, 'one');
      await assert.rejects(
        database.transaction(async (tx) => {
          await counter.grow(tx);
          throw new Error('no');
        }),
      );
      assert.equal(await counter.read(), 0);
    });

    test('is watched: at once, after changes by any handle, until the signal', async (t) => {
      const url = await factory.createUrl(t);
      const database = await factory.open(t, { url });
      await migrate(database, [{ id: 1, name: 'counters', sql: counterTable }]);
      const another = await factory.open(t, { url });
      const stopping = new AbortController();
      const seen: number[] = [];
      for await (const value of createCounter(database, 'one').watch(stopping.signal)) {
        seen.push(value);
        if (value === 0) await database.transaction((tx) => createCounter(database, 'one').grow(tx));
        if (value === 1) await another.transaction((tx) => createCounter(another, 'one').grow(tx));
        if (value === 2) stopping.abort();
      }
      assert.deepEqual(seen, [0, 1, 2]);
    });
  });
}
