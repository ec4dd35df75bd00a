/**
 * A program that is killed at any moment: it changes rows and appends their events, and consumes them into a second
 * database, as fast as it can. Arguments: the URLs of the two databases. Writes a dot per consumed batch. The test itself
 * uses the two halves to finish what the killed program began.
 */
import type { Database } from '../database/database.ts';
import { openDatabase } from '../database/open.ts';
import { silentLog } from '../log.ts';
import { createConsumer } from './consumer.ts';
import { openStream } from './sql-stream.ts';

export async function produceForever(database: Database, signal: AbortSignal): Promise<void> {
  const stream = await openStream({ database, name: 'changes' });
  await database.run('create table if not exists changes (n bigint not null)');
  while (!signal.aborted) {
    await database.transaction(async (tx) => {
      const size = 1 + Math.floor(Math.random() * 20);
      await tx.run('insert into changes (n) values ($1)', size);
      await stream.append(
        tx,
        Array.from({ length: size }, (_, index) => ({ key: `k${index % 5}`, type: 'changed', payload: new Uint8Array(50) })),
      );
    });
  }
}

export async function consumeForever(
  producer: Database,
  database: Database,
  signal: AbortSignal,
  onBatch: () => void,
): Promise<void> {
  const source = await openStream({ database: producer, name: 'changes' });
  // No key: a second application of an event shows as a second row.
  await database.run('create table if not exists effects (position bigint not null)');
  const consumer = createConsumer({
    name: 'effects',
    source,
    database,
    log: silentLog,
    handler: async (tx, events) => {
      for (const { position } of events) await tx.run('insert into effects (position) values ($1)', position);
      tx.afterCommit(onBatch);
    },
  });
  await consumer.run(signal);
}

if (import.meta.main) {
  const [producerUrl = '', consumerUrl = ''] = process.argv.slice(2);
  const never = new AbortController().signal;
  const producer = openDatabase({ url: producerUrl, name: 'producer', log: silentLog });
  const consumer = openDatabase({ url: consumerUrl, name: 'consumer', log: silentLog });
  await Promise.all([
    produceForever(producer, never),
    consumeForever(producer, consumer, never, () => void process.stdout.write('.')),
  ]);
}
