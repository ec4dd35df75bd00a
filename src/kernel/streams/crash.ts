import type { Database } from '../database/database.ts';
import { silentLog } from '../log.ts';
import { createConsumer } from './consumer.ts';
import { openStream } from './sql-stream.ts';

/** What the crash test runs in the program that it kills and, at the end, in itself. */

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
