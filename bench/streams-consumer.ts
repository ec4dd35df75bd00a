/** The consuming process of the streams benchmark. Arguments: the socket, the URL of its own database. */
import { openDatabase } from '../src/kernel/database/open.ts';
import { silentLog } from '../src/kernel/log.ts';
import { createConsumer } from '../src/kernel/streams/consumer.ts';
import { connectStream } from './streams-wire.ts';

const [path = '', url = ''] = process.argv.slice(2);
const database = openDatabase({ url, name: 'consumer', log: silentLog });
await database.run('create table effects (position integer primary key, key text not null, bytes integer not null)');

const consumer = createConsumer({
  name: 'bench',
  source: connectStream('bench', path),
  database,
  log: silentLog,
  batchSizeMax: 1000,
  handler: async (tx, events) => {
    for (const { position, key, payload } of events) {
      tx.sqlite?.run('insert into effects (position, key, bytes) values ($1, $2, $3)', position, key, payload.byteLength);
    }
    const first = events[0];
    const last = events.at(-1);
    if (!first || !last) return;
    tx.afterCommit(() => {
      // The payload begins with the producer's monotonic clock, which is the machine's.
      const latencyMs = Number(process.hrtime.bigint() - Buffer.from(first.payload).readBigUInt64LE()) / 1e6;
      process.send?.({ position: last.position, latencyMs });
    });
  },
});
const stopping = new AbortController();
process.on('disconnect', () => stopping.abort());
const running = consumer.run(stopping.signal);
process.send?.({ position: 0, latencyMs: 0 });
await running;
await database.close();
