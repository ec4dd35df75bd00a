/** How fast streams are: appending, delivering to a consumer in another process, and from publish to effect. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '../src/kernel/database/database.ts';
import { openDatabase } from '../src/kernel/database/open.ts';
import { silentLog } from '../src/kernel/log.ts';
import { openStream } from '../src/kernel/streams/sql-stream.ts';
import type { NewEvent, Stream } from '../src/kernel/streams/streams.ts';
import { postgresMissing, startPostgres } from '../src/kernel/testing/engines.ts';
import { isQuick, median, quantile, report } from './report.ts';
import { serveStream } from './streams-wire.ts';

const runs = isQuick ? 1 : 5;
const eventCount = isQuick ? 20_000 : 200_000;
const payloadBytes = 200;

/** `size` events of 200 bytes whose payload begins with the monotonic clock in nanoseconds. */
function makeEvents(size: number): NewEvent[] {
  const now = process.hrtime.bigint();
  return Array.from({ length: size }, (_, index) => {
    const payload = Buffer.alloc(payloadBytes);
    payload.writeBigUInt64LE(now);
    return { key: `folder/file-${index % 100}`, type: 'file.changed', payload };
  });
}

async function append(stream: Stream, count: number, batchSize: number): Promise<void> {
  for (let done = 0; done < count; done += batchSize) {
    await stream.database.transaction((tx) => stream.append(tx, makeEvents(batchSize)));
  }
}

/** Small transactions by many callers at once, sharing commits. */
async function appendTogether(stream: Stream, count: number, callers: number): Promise<void> {
  const one = async (): Promise<void> => {
    for (let done = 0; done < count / callers; done += 1) {
      await stream.database.transaction((tx) => stream.append(tx, makeEvents(1)), { group: true });
    }
  };
  await Promise.all(Array.from({ length: callers }, one));
}

async function rate(count: number, work: () => Promise<void>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return count / ((performance.now() - startedAt) / 1000);
}

/** A consumer in another process, with the events' last position and latencies as they take effect. */
async function startConsumer(
  path: string,
  folder: string,
): Promise<{ child: ChildProcess; reached: (position: number) => Promise<void>; latencies: number[] }> {
  const child = fork(join(import.meta.dirname, 'streams-consumer.ts'), [path, `sqlite:${folder}/consumer.db`], {
    serialization: 'advanced',
  });
  const latencies: number[] = [];
  let last = 0;
  let wake: () => void = () => undefined;
  child.on('message', ({ position, latencyMs }: { position: number; latencyMs: number }) => {
    if (position > 0) latencies.push(latencyMs);
    last = position;
    wake();
  });
  await once(child, 'message');
  const reached = async (position: number): Promise<void> => {
    while (last < position) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  return { child, reached, latencies };
}

async function withFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'cellar-bench-'));
  try {
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function onDatabase<T>(
  url: string,
  durable: boolean,
  work: (stream: Stream, database: Database) => Promise<T>,
): Promise<T> {
  const database = openDatabase({ url, name: 'bench', log: silentLog, durable });
  try {
    return await work(await openStream({ database, name: 'bench' }), database);
  } finally {
    await database.close();
  }
}

const onSqlite = <T>(work: (stream: Stream, folder: string) => Promise<T>, durable = false): Promise<T> =>
  withFolder((folder) => onDatabase(`sqlite:${folder}/producer.db`, durable, (stream) => work(stream, folder)));

async function repeat(measure: () => Promise<number>): Promise<number> {
  const results: number[] = [];
  for (let run = 0; run < runs; run += 1) results.push(await measure());
  return median(results);
}

/** Runs `work` with a consumer attached over a Unix socket. */
const withConsumer = <T>(
  work: (stream: Stream, consumer: Awaited<ReturnType<typeof startConsumer>>) => Promise<T>,
  eventsBefore = 0,
): Promise<T> =>
  onSqlite(async (stream, folder) => {
    if (eventsBefore > 0) await append(stream, eventsBefore, 1000);
    const path = join(folder, 'stream.sock');
    const server = serveStream(stream, path);
    await once(server, 'listening');
    const consumer = await startConsumer(path, folder);
    try {
      return await work(stream, consumer);
    } finally {
      const exited = once(consumer.child, 'exit');
      consumer.child.disconnect();
      await exited;
      server.close();
    }
  });

const appended = await repeat(() => onSqlite((stream) => rate(eventCount, () => append(stream, eventCount, 1000))));
const appendedSmall = await repeat(() => onSqlite((stream) => rate(eventCount, () => append(stream, eventCount, 100))));
const singles = eventCount / 20;
const appendedAlone = await repeat(() => onSqlite((stream) => rate(singles, () => append(stream, singles, 1))));
const appendedTogether = await repeat(() => onSqlite((stream) => rate(singles, () => appendTogether(stream, singles, 50))));
const appendedTogetherDurable = await repeat(() =>
  onSqlite((stream) => rate(singles, () => appendTogether(stream, singles, 50)), true),
);

const delivered = await repeat(() => withConsumer((_, { reached }) => rate(eventCount, () => reached(eventCount)), eventCount));
const published = await repeat(() =>
  withConsumer((stream, { reached }) =>
    rate(eventCount, async () => {
      await append(stream, eventCount, 1000);
      await reached(eventCount);
    }),
  ),
);

const p50s: number[] = [];
const p99s: number[] = [];
for (let run = 0; run < runs; run += 1) {
  await withConsumer(async (stream, { reached, latencies }) => {
    const count = isQuick ? 100 : 500;
    for (let index = 1; index <= count; index += 1) {
      await stream.database.transaction((tx) => stream.append(tx, makeEvents(1)));
      await reached(index);
      await sleep(2); // One at a time: what is measured is the way, not a queue.
    }
    p50s.push(quantile(latencies.slice(20), 0.5));
    p99s.push(quantile(latencies.slice(20), 0.99));
  });
}
const p50 = median(p50s);
const p99 = median(p99s);

const rows: [string, string, number][] = [
  ['append, transactions of 1 000 events', 'events/s', appended],
  ['append, transactions of 100 events', 'events/s', appendedSmall],
  ['append, transactions of 1 event, one caller', 'events/s', appendedAlone],
  ['append, transactions of 1 event, 50 callers, shared commits', 'events/s', appendedTogether],
  ['the same, each commit on the disk (durable)', 'events/s', appendedTogetherDurable],
  ['deliver a backlog to another process, each event with an effect', 'events/s', delivered],
  ['append and deliver at once, to the last effect', 'events/s', published],
  ['publish to effect in another process, p50', 'ms', p50],
  ['publish to effect in another process, p99', 'ms', p99],
];

if ((await postgresMissing()) === undefined) {
  await using server = await startPostgres();
  const count = eventCount / 4;
  const onPostgres = await repeat(async () => {
    const url = await server.createDatabase();
    return onDatabase(url, false, (stream) => rate(count, () => append(stream, count, 1000)));
  });
  rows.push(['append on PostgreSQL (fsync off), transactions of 1 000 events', 'events/s', onPostgres]);
}

report('streams', {
  columns: ['SQLite unless said otherwise; events of 200 bytes', 'unit', `median of ${runs}`],
  rows,
  claims: [
    {
      what: 'append in a transaction, batched, events/s',
      target: '>= 50 000',
      measured: Math.round(appended),
      holds: appended >= 50_000,
    },
    {
      what: 'delivery to a consumer in another process, batched, events/s',
      target: '>= 50 000',
      measured: Math.round(delivered),
      holds: delivered >= 50_000,
    },
    { what: 'publish to effect in another process, p50 ms', target: '< 2', measured: Number(p50.toFixed(3)), holds: p50 < 2 },
  ],
});
