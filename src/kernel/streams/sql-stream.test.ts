import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { Fault } from '../fault.ts';
import { type DatabaseFactory, postgresFactory, postgresForFile, sqliteFactory } from '../testing/databases.ts';
import { openStream } from './sql-stream.ts';
import { type StreamFactory, streamSuite } from './streams.suite.ts';
import type { Stream } from './streams.ts';

const { skip, server, stop } = await postgresForFile();
after(stop);

const on = (databases: DatabaseFactory): StreamFactory => ({
  name: databases.engine,
  async open(t, options) {
    const stream = await openStream({ database: await databases.open(t), name: 'test.changes', ...options });
    return { stream, source: stream };
  },
});

streamSuite(on(sqliteFactory));
streamSuite(on(postgresFactory(server)), skip);

const bytes = (text: string): Uint8Array => Buffer.from(text);
const never = new AbortController().signal;
const isTrimmed = (error: unknown): boolean => error instanceof Fault && error.reason === 'stream_trimmed';

test('after another start of the machine positions are none that events had which it may have lost', async (t) => {
  const url = await sqliteFactory.createUrl(t);
  const open = async (boot: string, durable = false) => {
    const database = await sqliteFactory.open(t, { url, durable });
    return await openStream({ database, name: 'changes', boot });
  };
  const add = async (stream: Stream, text: string): Promise<number> =>
    await stream.append(stream.database, [{ key: 'k', type: 't', payload: bytes(text) }]);
  const first = await open('one');
  for (const text of ['a', 'b', 'c']) await add(first, text);
  const again = await open('one');
  assert.equal(await add(again, 'd'), 4);
  const second = await open('two');
  const head = await second.head(never);
  assert.ok(head > 1_000_000);
  for (const read of [3, 4, 500]) await assert.rejects(second.read(read, 10, never), isTrimmed);
  assert.equal(await add(second, 'e'), head + 1);
  for (const read of [4, 5]) await assert.rejects(second.read(read, 10, never), isTrimmed);
  assert.deepEqual(
    (await second.read(head, 10, never)).map(({ payload }) => Buffer.from(payload).toString()),
    ['e'],
  );
  assert.equal(await (await open('three', true)).head(never), head + 1, 'a durable one has lost nothing');
});
