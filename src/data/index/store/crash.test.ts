import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { migrate } from '#kernel/database/migrations.ts';
import { type DatabaseFactory, postgresFactory, postgresForFile, sqliteFactory } from '#kernel/testing/databases.ts';
import { changesOf } from './crash.fixture.ts';
import { migrations } from './migrations.ts';
import { readerOf } from './reader.ts';
import { scan } from './scan.ts';
import { createTreeStore } from './sql.ts';
import type { StoredNode, TreeStore } from './store.ts';

const { skip, server, stop } = await postgresForFile();
after(stop);

const program = fileURLToPath(import.meta.resolve('./crash.fixture.ts'));

async function ready(t: TestContext, factory: DatabaseFactory, url: string) {
  const database = await factory.open(t, { url, name: 'index' });
  await migrate(database, migrations);
  const store = createTreeStore(database);
  await store.prepare('tag');
  return { database, store };
}

async function walkAll(store: TreeStore): Promise<StoredNode[]> {
  const nodes: StoredNode[] = [];
  for await (const piece of store.walk((await store.find('')) as StoredNode)) nodes.push(...piece.nodes);
  return nodes;
}

async function killAndCheck(t: TestContext, factory: DatabaseFactory): Promise<void> {
  const url = await factory.createUrl(t);
  const { database, store } = await ready(t, factory, url);
  for (let round = 1; round <= 3; round++) {
    const child = spawn(process.execPath, [program, url], { stdio: ['ignore', 'pipe', 'inherit'] });
    const exited = once(child, 'exit');
    let batches = 0;
    for await (const dots of child.stdout) {
      batches += String(dots).length;
      if (batches >= round * 3) break;
    }
    child.kill('SIGKILL');
    await exited;
  }
  const { sourcePosition } = await store.state();
  assert.ok(sourcePosition >= 6);
  const damages = (await Array.fromAsync(scan(readerOf(database)))).flatMap((scanned) => scanned.damages);
  assert.deepEqual(damages, []);
  const expected = await ready(t, factory, await factory.createUrl(t));
  for (let batch = 1; batch <= sourcePosition; batch++) await expected.store.apply(expected.database, changesOf(batch));
  assert.deepEqual(await walkAll(store), await walkAll(expected.store));
}

test('killed in the middle of batches on sqlite: the state is that before or after one', (t) => killAndCheck(t, sqliteFactory));

test('killed in the middle of batches on postgres: the state is that before or after one', { skip }, (t) =>
  killAndCheck(t, postgresFactory(server)),
);
