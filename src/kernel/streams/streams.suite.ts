import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { setImmediate as tick } from 'node:timers/promises';
import type { Database } from '../database/database.ts';
import { Fault, unavailable } from '../fault.ts';
import { silentLog } from '../log.ts';
import { until } from '../testing/engines.ts';
import { type Consumer, type ConsumerOptions, createConsumer } from './consumer.ts';
import type { NewEvent, Stream, StreamEvent, StreamSource } from './streams.ts';

/** Where the suite gets a stream from: the producer's side, and the source as a consumer reads it. */
export interface StreamFactory {
  readonly name: string;
  open(t: TestContext, options?: { now?: () => number }): Promise<{ readonly stream: Stream; readonly source: StreamSource }>;
}

const text = new TextEncoder();
const event = (key: string, type = 'changed'): NewEvent => ({ key, type, payload: text.encode(`${key}:${type}`) });
const never = new AbortController().signal;
const isFault = (reason: string) => (error: unknown) => error instanceof Fault && error.reason === reason;

/** Reads a subscription until `count` events have come. */
async function take(source: StreamSource, after: number, count: number): Promise<StreamEvent[]> {
  const controller = new AbortController();
  const events: StreamEvent[] = [];
  for await (const batch of source.subscribe({ after, signal: controller.signal })) {
    events.push(...batch);
    if (events.length >= count) break;
  }
  controller.abort();
  return events;
}

/** A consumer that writes each event it sees to a table, so that what was applied can be counted. */
async function recorder(t: TestContext, database: Database, options: Pick<ConsumerOptions, 'source'> & Partial<ConsumerOptions>) {
  await database.run(
    'create table if not exists seen (n {id}, position bigint not null, key text not null)'.replace('{id}', idOf(database)),
  );
  const stopping = new AbortController();
  const consumer = createConsumer({
    name: 'recorder',
    database,
    log: silentLog,
    retry: { firstMs: 1, maxMs: 5, attemptsMax: 3 },
    ...options,
    handler: async (tx, events) => {
      await options.handler?.(tx, events);
      for (const { position, key } of events) await tx.run('insert into seen (position, key) values ($1, $2)', position, key);
    },
  });
  const start = (): (() => Promise<void>) => {
    const controller = new AbortController();
    const running = consumer.run(AbortSignal.any([controller.signal, stopping.signal]));
    t.after(() => {
      stopping.abort();
      return running;
    });
    return async () => {
      controller.abort();
      await running;
    };
  };
  const seen = async (): Promise<number[]> =>
    (await database.all<{ position: number }>('select position from seen order by n')).map(({ position }) => position);
  return { consumer, start, seen };
}

const idOf = (database: Database): string =>
  database.engine === 'sqlite' ? 'integer primary key' : 'bigint generated always as identity primary key';

const range = (first: number, last: number): number[] => Array.from({ length: last - first + 1 }, (_, index) => first + index);

export function streamSuite(factory: StreamFactory, skip: string | false = false): void {
  describe(`a stream on ${factory.name}`, { skip }, () => {
    test('events come back in order, numbered from one without gaps', async (t) => {
      const { stream, source } = await factory.open(t);
      assert.equal(await stream.head(never), 0);
      assert.deepEqual(await source.read(0, 10, never), []);
      assert.equal(await stream.append(stream.database, [event('a'), { ...event('b'), headers: { trace: '1' } }]), 1);
      assert.equal(await stream.append(stream.database, [event('c')]), 3);
      const events = await take(source, 0, 3);
      assert.deepEqual(
        events.map(({ position, key, headers }) => ({ position, key, headers: { ...headers } })),
        [
          { position: 1, key: 'a', headers: {} },
          { position: 2, key: 'b', headers: { trace: '1' } },
          { position: 3, key: 'c', headers: {} },
        ],
      );
      assert.equal(new TextDecoder().decode(events[0]?.payload), 'a:changed');
      assert.deepEqual(
        (await source.read(1, 1, never)).map(({ position }) => position),
        [2],
      );
      assert.equal(await source.head(never), 3);
    });

    test('an event exists when its transaction commits, and a rollback leaves no gap', async (t) => {
      const { stream } = await factory.open(t);
      await assert.rejects(
        stream.database.transaction(async (tx) => {
          await stream.append(tx, [event('lost')]);
          throw new Error('no');
        }),
      );
      assert.equal(await stream.head(never), 0);
      assert.equal(await stream.append(stream.database, [event('kept')]), 1);
    });

    test('appenders at once: a reader that follows sees every event, once, in order', async (t) => {
      const { stream, source } = await factory.open(t);
      const reading = take(source, 0, 300);
      await Promise.all(
        range(1, 30).map((writer) =>
          stream.database.transaction(async (tx) => {
            await stream.append(
              tx,
              range(1, 4).map((n) => event(`w${writer}`, `t${n}`)),
            );
            await tick();
            await stream.append(
              tx,
              range(5, 10).map((n) => event(`w${writer}`, `t${n}`)),
            );
          }),
        ),
      );
      const events = await reading;
      assert.deepEqual(
        events.map(({ position }) => position),
        range(1, 300),
      );
      for (const writer of range(1, 30)) {
        const types = events.filter(({ key }) => key === `w${writer}`).map(({ type }) => type);
        assert.deepEqual(
          types,
          range(1, 10).map((n) => `t${n}`),
        );
      }
    });

    test('large batches come whole', async (t) => {
      const { stream, source } = await factory.open(t);
      await stream.append(
        stream.database,
        range(1, 2500).map((n) => event(`k${n}`)),
      );
      const events = await take(source, 0, 2500);
      assert.deepEqual(
        events.map(({ position }) => position),
        range(1, 2500),
      );
      assert.equal(events[2499]?.key, 'k2500');
    });

    test('limits are refused before anything is written', async (t) => {
      const { stream } = await factory.open(t);
      await assert.rejects(stream.append(stream.database, []), isFault('invalid_argument'));
      await assert.rejects(
        stream.append(stream.database, [{ ...event('a'), payload: new Uint8Array((1 << 20) + 1) }]),
        isFault('invalid_argument'),
      );
      await assert.rejects(stream.append(stream.database, [event('k'.repeat(2000))]), isFault('invalid_argument'));
    });

    test('a subscription ends with its signal', async (t) => {
      const { source } = await factory.open(t);
      const controller = new AbortController();
      const ended = (async () => {
        for await (const _ of source.subscribe({ after: 0, signal: controller.signal })) assert.fail('nothing was appended');
      })();
      await tick();
      controller.abort();
      await ended;
    });

    test('trimming keeps what consumers need, and readers behind it are told', async (t) => {
      let now = 1000;
      const { stream } = await factory.open(t, { now: () => now });
      await stream.append(
        stream.database,
        range(1, 10).map((n) => event(`k${n}`)),
      );
      now = 2000;
      await stream.append(
        stream.database,
        range(11, 20).map((n) => event(`k${n}`)),
      );
      await stream.acknowledge?.('slow', 3, never);
      assert.equal(await stream.trim({ countMax: 5 }), 3);
      assert.equal(await stream.trim({ ageMsMax: 500, pastConsumers: true }), 7);
      await stream.forgetConsumer('slow');
      assert.equal(await stream.trim({ countMax: 0 }), 10);
      assert.equal(await stream.trim({ countMax: 0 }), 0);
      await assert.rejects(stream.read(15, 10, never), isFault('stream_trimmed'));
      assert.deepEqual(await stream.read(20, 10, never), []);
      await assert.rejects(stream.read(21, 10, never), isFault('stream_rewound'));
      assert.equal(await stream.append(stream.database, [event('next')]), 21);
    });
  });

  describe(`a consumer of ${factory.name}`, { skip }, () => {
    test('applies every event once, in order, and goes on where it stopped', async (t) => {
      const { stream, source } = await factory.open(t);
      const { start, seen, consumer } = await recorder(t, stream.database, { source });
      await stream.append(
        stream.database,
        range(1, 100).map((n) => event(`k${n % 7}`)),
      );
      const stop = start();
      await until(async () => (await seen()).length >= 100);
      await stop();
      await stream.append(
        stream.database,
        range(101, 200).map((n) => event(`k${n % 7}`)),
      );
      start();
      await until(async () => (await seen()).length >= 200);
      assert.deepEqual(await seen(), range(1, 200));
      const status = await consumer.status(never);
      assert.deepEqual(
        [status.position, status.head, status.lag, status.retrying, status.deadLetters, status.isRunning],
        [200, 200, 0, 0, 0, true],
      );
      await until(async () => (await stream.consumers())[0]?.position === 200);
    });

    test('a failing event is set aside with its key while others go on, and is applied in order when it succeeds', async (t) => {
      const { stream, source } = await factory.open(t);
      let isBroken = true;
      const { start, seen, consumer } = await recorder(t, stream.database, {
        source,
        retry: { firstMs: 1, maxMs: 5, attemptsMax: 1_000_000 },
        handler: async (_tx, events) => {
          if (isBroken && events.some(({ position }) => position === 2)) throw new Error('not yet');
        },
      });
      await stream.append(
        stream.database,
        ['a', 'b', 'c', 'b', 'a'].map((key) => event(key)),
      );
      start();
      await until(async () => (await seen()).length === 3);
      assert.deepEqual(await seen(), [1, 3, 5]);
      assert.equal((await consumer.status(never)).retrying, 2);
      isBroken = false;
      await until(async () => (await seen()).length === 5);
      assert.deepEqual((await seen()).slice(3), [2, 4]);
      assert.equal((await consumer.status(never)).retrying, 0);
    });

    test('an event that always fails becomes a dead letter, its key goes on, and it can be redelivered', async (t) => {
      const { stream, source } = await factory.open(t);
      let isBroken = true;
      const { start, seen, consumer } = await recorder(t, stream.database, {
        source,
        handler: async (_tx, events) => {
          if (isBroken && events.some(({ position }) => position === 1 || position === 5)) throw new Error('poison');
        },
      });
      await stream.append(
        stream.database,
        ['a', 'b', 'a', 'c', 'd'].map((key) => event(key)),
      );
      start();
      await until(async () => (await consumer.status(never)).deadLetters === 2);
      await until(async () => (await seen()).length === 3);
      const letters = await consumer.deadLetters();
      assert.deepEqual(
        letters.map(({ position, attempts, error, key }) => [position, attempts, error, key]),
        [
          [1, 3, 'poison', 'a'],
          [5, 3, 'poison', 'd'],
        ],
      );
      isBroken = false;
      assert.equal(await consumer.discard([5]), 1);
      assert.equal(await consumer.redeliver(), 1);
      await until(async () => (await seen()).length === 4);
      assert.equal((await seen()).at(-1), 1);
      assert.equal((await consumer.status(never)).deadLetters, 0);
    });

    test('an outage makes it wait, not give up', async (t) => {
      const { stream, source } = await factory.open(t);
      let outages = 6;
      const { start, seen, consumer } = await recorder(t, stream.database, {
        source,
        handler: async () => {
          if (outages-- > 0) throw unavailable('The search engine is away');
        },
      });
      await stream.append(stream.database, [event('a'), event('b')]);
      start();
      await until(async () => (await seen()).length === 2);
      const status = await consumer.status(never);
      assert.deepEqual([status.deadLetters, status.retrying, status.failure], [0, 0, undefined]);
    });

    test('replays from any point', async (t) => {
      const { stream, source } = await factory.open(t);
      const { start, seen, consumer } = await recorder(t, stream.database, { source });
      await stream.append(
        stream.database,
        range(1, 10).map((n) => event(`k${n}`)),
      );
      start();
      await until(async () => (await seen()).length === 10);
      await consumer.seek(7);
      await until(async () => (await seen()).length === 13);
      assert.deepEqual((await seen()).slice(10), [8, 9, 10]);
    });

    test('a consumer behind the oldest event says so and goes on once it is moved', async (t) => {
      const { stream, source } = await factory.open(t);
      await stream.append(
        stream.database,
        range(1, 5).map((n) => event(`k${n}`)),
      );
      await stream.trim({ countMax: 2 });
      const { start, seen, consumer } = await recorder(t, stream.database, { source: stream });
      start();
      await until(async () => (await consumer.status(never)).failure !== undefined);
      const { failure } = await consumer.status(never);
      assert.match(failure?.error ?? '', /removed already/);
      assert.deepEqual(await seen(), []);
      assert.equal(source.name, stream.name);
      await consumer.seek(3);
      await until(async () => (await seen()).length === 2);
      assert.deepEqual(await seen(), [4, 5]);
      assert.equal((await consumer.status(never)).failure, undefined);
    });

    test('too many events set aside hold the consumer up instead of filling the disk', async (t) => {
      const { stream, source } = await factory.open(t);
      let isBroken = true;
      const { start, seen, consumer } = await recorder(t, stream.database, {
        source,
        parkedMax: 3,
        retry: { firstMs: 1, maxMs: 5, attemptsMax: 1_000_000 },
        handler: async () => {
          if (isBroken) throw new Error('not yet');
        },
      });
      await stream.append(
        stream.database,
        range(1, 10).map((n) => event(`k${n}`)),
      );
      start();
      await until(async () => (await consumer.status(never)).failure !== undefined);
      assert.equal((await consumer.status(never)).retrying, 3);
      isBroken = false;
      await until(async () => (await seen()).length === 10);
      assert.deepEqual(
        (await seen()).toSorted((a, b) => a - b),
        range(1, 10),
      );
    });

    test('a new consumer may begin at the end', async (t) => {
      const { stream, source } = await factory.open(t);
      await stream.append(stream.database, [event('old')]);
      const { start, seen, consumer } = await recorder(t, stream.database, { source, from: 'end' });
      start();
      await until(async () => (await consumer.status(never)).position === 1);
      await stream.append(stream.database, [event('new')]);
      await until(async () => (await seen()).length === 1);
      assert.deepEqual(await seen(), [2]);
    });

    test('instances of one consumer take turns and apply nothing twice', async (t) => {
      const { stream, source } = await factory.open(t);
      const instances: { consumer: Consumer; start: () => () => Promise<void>; seen: () => Promise<number[]> }[] = [];
      for (const _ of [1, 2, 3]) instances.push(await recorder(t, stream.database, { source, batchSizeMax: 10 }));
      for (const { start } of instances) start();
      for (const batch of range(0, 9))
        await stream.append(
          stream.database,
          range(1, 20).map((n) => event(`k${batch}-${n}`)),
        );
      const [first] = instances;
      await until(async () => ((await first?.seen()) ?? []).length >= 200);
      assert.deepEqual(await first?.seen(), range(1, 200));
    });
  });
}
