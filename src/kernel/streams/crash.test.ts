import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Database } from '../database/database.ts';
import { type DatabaseFactory, postgresFactory, postgresForFile, sqliteFactory } from '../testing/databases.ts';
import { until } from '../testing/engines.ts';
import { consumeForever, produceForever } from './crash.fixture.ts';

const { skip, server, stop } = await postgresForFile();
after(stop);

const program = fileURLToPath(import.meta.resolve('./crash.fixture.ts'));

const one = async (database: Database, sql: string): Promise<number> => (await database.get<{ n: number | null }>(sql))?.n ?? 0;

/** Every change has its events, and every event took effect exactly once. */
async function assertNothingLostOrTwice(producer: Database, consumer: Database): Promise<void> {
  const changed = await one(producer, 'select sum(n) as n from changes');
  assert.equal(await one(producer, 'select head as n from cellar_streams'), changed);
  assert.equal(await one(producer, 'select count(*) as n from "stream_changes"'), changed);
  assert.equal(await one(consumer, 'select count(*) as n from effects'), changed);
  assert.equal(await one(consumer, 'select count(distinct position) as n from effects'), changed);
}

async function finish(t: TestContext, producer: Database, consumer: Database): Promise<void> {
  const head = await one(producer, 'select head as n from cellar_streams');
  const stopping = new AbortController();
  const running = consumeForever(producer, consumer, stopping.signal, () => undefined);
  t.after(() => stopping.abort());
  await until(async () => (await one(consumer, 'select count(*) as n from effects')) >= head);
  stopping.abort();
  await running;
}

async function killAndCheck(t: TestContext, databases: DatabaseFactory): Promise<void> {
  const urls = [await databases.createUrl(t), await databases.createUrl(t)] as const;
  for (let round = 1; round <= 4; round += 1) {
    const child = spawn(process.execPath, [program, ...urls], { stdio: ['ignore', 'pipe', 'inherit'] });
    const exited = once(child, 'exit');
    let batches = 0;
    for await (const dots of child.stdout) {
      batches += String(dots).length;
      if (batches >= round * 7) break;
    }
    child.kill('SIGKILL');
    await exited;
  }
  const producer = await databases.open(t, { url: urls[0], name: 'producer' });
  const consumer = await databases.open(t, { url: urls[1], name: 'consumer' });
  await finish(t, producer, consumer);
  await assertNothingLostOrTwice(producer, consumer);
  assert.ok((await one(producer, 'select count(*) as n from changes')) > 10);
}

test('killed in the middle of appending and consuming on sqlite: nothing lost, nothing twice', (t) =>
  killAndCheck(t, sqliteFactory));

test('killed in the middle of appending and consuming on postgres: nothing lost, nothing twice', { skip }, (t) =>
  killAndCheck(t, postgresFactory(server)),
);

test('the PostgreSQL server killed under both: nothing lost, nothing twice, no restart', { skip }, async (t) => {
  const factory = postgresFactory(server);
  const producer = await factory.open(t, { url: await factory.createUrl(t), name: 'producer' });
  const consumer = await factory.open(t, { url: await factory.createUrl(t), name: 'consumer' });
  const stopping = new AbortController();
  let batches = 0;
  const consuming = consumeForever(producer, consumer, stopping.signal, () => (batches += 1));
  t.after(() => stopping.abort());
  for (let round = 0; round < 2; round += 1) {
    const before = batches;
    const producing = assert.rejects(produceForever(producer, stopping.signal), { code: 'unavailable' });
    await until(() => batches > before + 5);
    await server().kill();
    await producing;
    await server().restart();
  }
  const head = await one(producer, 'select head as n from cellar_streams');
  await until(async () => (await one(consumer, 'select count(*) as n from effects')) >= head, 20_000);
  stopping.abort();
  await consuming;
  await assertNothingLostOrTwice(producer, consumer);
});
