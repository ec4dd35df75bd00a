import assert from 'node:assert/strict';
import { createHmac, randomUUID } from 'node:crypto';
import { after, type TestContext, test } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { FleetEventSchema } from '#gen/cellar/fleet/v1/common_pb.ts';
import type { Database } from '#kernel/database/database.ts';
import { migrate } from '#kernel/database/migrations.ts';
import { silentLog } from '#kernel/log.ts';
import { postWebhook } from '#kernel/post-webhook.ts';
import { openStream } from '#kernel/streams/sql-stream.ts';
import { type DatabaseFactory, postgresFactory, postgresForFile, sqliteFactory } from '#kernel/testing/databases.ts';
import { freePort, until } from '#kernel/testing/engines.ts';
import type { FleetEvent } from '../logic/events.ts';
import type { WebhookLimits } from '../logic/judge-attempt.ts';
import { secretText } from '../logic/webhook-message.ts';
import { migrations } from '../store/migrations.ts';
import { createWebhookStore } from '../store/webhook-rows.ts';
import type { StoredWebhook, WebhookStore } from '../store/webhooks.ts';
import { type Received, startReceiver } from '../testing/receiver.ts';
import { createWebhookSender, type Outcome, type WebhookSender } from './webhook-sender.ts';

const postgres = await postgresForFile();
after(() => postgres.stop());
const dayMs = 86_400_000;
const secretHex = '0123456789abcdef'.repeat(4);
const limits: WebhookLimits = { retry: { firstMs: 2, maxMs: 20 }, patienceMs: dayMs, failingMsMax: 5 * dayMs };

/** A stream of events and senders over it. */
interface Ground {
  readonly database: Database;
  readonly store: WebhookStore;
  readonly outcomes: Outcome[];
  readonly told: FleetEvent[];
  readonly clock: { nowMs: number };
  tell(...reasons: string[]): Promise<void>;
  add(name: string, url: string, changes?: Partial<StoredWebhook>): Promise<void>;
  get(name: string): Promise<StoredWebhook>;
  /** Runs until the test ends, or until it is stopped. */
  start(t: TestContext, database?: Database): { readonly sender: WebhookSender; stop(): Promise<void> };
  trim(): Promise<void>;
}

async function prepare(t: TestContext, factory: DatabaseFactory): Promise<Ground> {
  const database = await factory.open(t);
  await migrate(database, migrations);
  const clock = { nowMs: 1_700_000_000_000 };
  const now = (): number => clock.nowMs;
  const stream = await openStream({ database, name: 'fleet', now });
  const store = createWebhookStore(database);
  const outcomes: Outcome[] = [];
  const told: FleetEvent[] = [];
  const get = async (name: string): Promise<StoredWebhook> => {
    const found = await store.webhook(name);
    if (!found) throw new Error(`There is no webhook ${name}`);
    return found;
  };
  return {
    ...{ database, store, outcomes, told, clock, get },
    async tell(...reasons) {
      const events = reasons.map((reason) => create(FleetEventSchema, { reason, kind: 'cluster', time: timestampFromMs(now()) }));
      await stream.append(
        database,
        events.map((event) => ({ key: 'k', type: event.reason, payload: toBinary(FleetEventSchema, event) })),
      );
    },
    async add(name, url, changes = {}) {
      const webhook: StoredWebhook = {
        ...{ name, uid: name, url, description: '', isEnabled: true, secrets: [], types: [], hosts: [], blueprints: [] },
        ...{ labels: {}, position: 0, attempts: 0, nextMs: 0, failingSinceMs: 0, successMs: 0, message: '', createdMs: now() },
        ...{ generation: 1, version: 1, ...changes },
      };
      await database.transaction((tx) => store.addWebhook(tx, webhook));
    },
    start(context, over = database) {
      const end = new AbortController();
      const sender = createWebhookSender({
        ...{ database: over, store: createWebhookStore(over), source: stream, now, log: silentLog, fleet: 'f', concurrency: 8 },
        oldest: async () => (await database.get<{ trimmed: number }>('select trimmed from cellar_streams'))?.trimmed ?? 0,
        append: async (tx, events) => tx.afterCommit(() => told.push(...events)),
        secretsOf: async () => [secretText(secretHex)],
        post: (post, signal) => postWebhook(post, { isPrivateAllowed: true, privateSetting: 'x', timeoutMs: 20_000 }, signal),
        limits: () => limits,
        observe: (outcome) => void outcomes.push(outcome),
        newId: randomUUID,
      });
      const running = sender.run(end.signal);
      const stop = async (): Promise<void> => {
        end.abort();
        await running;
      };
      context.after(stop);
      return { sender, stop };
    },
    trim: async () => void (await stream.trim({ countMax: 0 })),
  };
}

/** Written from the specification, not with what is tested. */
function assertSigned({ headers, body }: Received): void {
  const [id, time, signatures] = ['webhook-id', 'webhook-timestamp', 'webhook-signature'].map((name) => String(headers[name]));
  const expected = createHmac('sha256', Buffer.from(secretHex, 'hex')).update(`${id}.${time}.${body}`).digest('base64');
  assert.ok(signatures?.split(' ').some((one) => one === `v1,${expected}`));
}

const typesOf = (seen: readonly Received[]): string[] => seen.map(({ type }) => type);

for (const factory of [sqliteFactory, postgresFactory(postgres.server)]) {
  const check = (name: string, body: (t: TestContext, ground: Ground) => Promise<void>): void => {
    const skip = factory.engine === 'postgres' ? postgres.skip : false;
    test(`${name}, on ${factory.engine}`, { skip }, async (t) => body(t, await prepare(t, factory)));
  };

  check('events are told in their order, signed, once each, also those that come while one is told', async (t, ground) => {
    const receiver = await startReceiver(t, (_, at) => {
      if (at === 0) void ground.tell('D');
      return at === 0 ? 200 : 204;
    });
    await ground.tell('A', 'B');
    await ground.add('w', receiver.url);
    ground.start(t);
    await until(() => receiver.seen.length === 3);
    await ground.tell('E');
    await until(async () => (await ground.get('w')).position === 4);
    assert.deepEqual(typesOf(receiver.seen), ['A', 'B', 'D', 'E']);
    assert.equal(new Set(receiver.seen.map(({ id }) => id)).size, 4);
    for (const received of receiver.seen) assertSigned(received);
    const deliveries = await ground.store.deliveries('w', {}, undefined, 10);
    assert.deepEqual(
      new Set(deliveries.map(({ state, status, attempts }) => `${state} ${status > 199} ${attempts}`)),
      new Set(['delivered true 1']),
    );
    assert.deepEqual(ground.outcomes, ['delivered', 'delivered', 'delivered', 'delivered']);
  });

  check('what is answered with 500, or not at all, is told again with the same id, before those behind it', async (t, ground) => {
    const receiver = await startReceiver(t, (_, at) => (at < 2 ? 500 : 200));
    await ground.tell('A', 'B');
    await ground.add('w', receiver.url);
    const nobody = await freePort();
    await ground.add('later', `http://127.0.0.1:${nobody}/`);
    ground.start(t);
    // The clock of the service stands still: only the pauses before a try pass.
    const tick = setInterval(() => (ground.clock.nowMs += 5), 1);
    t.after(() => clearInterval(tick));
    await until(async () => (await ground.get('w')).position === 2);
    assert.deepEqual(typesOf(receiver.seen), ['A', 'A', 'A', 'B']);
    assert.equal(new Set(receiver.seen.map(({ id }) => id)).size, 2);
    const [, first] = await ground.store.deliveries('w', {}, undefined, 10);
    assert.deepEqual([first?.state, first?.attempts], ['delivered', 3]);
    await until(async () => (await ground.get('later')).attempts > 2);
    assert.match((await ground.get('later')).message, /could not be told/);
    const late = await startReceiver(t, () => 200, nobody);
    await until(async () => (await ground.get('later')).position === 2);
    assert.deepEqual(typesOf(late.seen), ['A', 'B']);
    const { attempts, failingSinceMs } = await ground.get('later');
    assert.deepEqual([attempts, failingSinceMs], [0, 0]);
  });

  check('killed between the answer and its commit, the event is told again with the same id', async (t, ground) => {
    const receiver = await startReceiver(t);
    await ground.tell('A', 'B');
    await ground.add('w', receiver.url);
    // From its first commit on nothing of this sender reaches the database, as after a kill.
    const dead = new Proxy(ground.database, {
      get: (target, name) => {
        const found: unknown = Reflect.get(target, name);
        if (name === 'transaction') return async () => Promise.reject(new Error('killed'));
        return typeof found === 'function' ? found.bind(target) : found;
      },
    });
    const first = ground.start(t, dead);
    await until(() => receiver.seen.length >= 1);
    await first.stop();
    assert.equal((await ground.get('w')).position, 0);
    const before = receiver.seen.length;
    ground.start(t);
    await until(async () => (await ground.get('w')).position === 2);
    assert.equal(receiver.seen[before]?.id, receiver.seen[0]?.id);
    assert.deepEqual(typesOf(receiver.seen.slice(before)), ['A', 'B']);
  });

  check('a receiver that does not answer holds up no other', async (t, ground) => {
    const slow = await startReceiver(t, () => 'silent');
    const quick = await startReceiver(t);
    await ground.add('a-slow', slow.url);
    await ground.add('quick', quick.url);
    const { stop } = ground.start(t);
    for (const reason of ['A', 'B', 'C']) await ground.tell(reason);
    await until(async () => (await ground.get('quick')).position === 3);
    await until(() => slow.seen.length === 1);
    assert.equal((await ground.get('a-slow')).position, 0);
    // What is under way does not hold up the end either.
    await stop();
  });

  check('a receiver that is gone, or has failed for days, is disabled, and that is an event', async (t, ground) => {
    const gone = await startReceiver(t, () => 410);
    const dead = await startReceiver(t, () => 503);
    await ground.tell('A');
    await ground.add('gone', gone.url);
    await ground.add('dead', dead.url, { attempts: 12, failingSinceMs: ground.clock.nowMs - limits.failingMsMax });
    ground.start(t);
    await until(() => ground.told.length === 2);
    assert.deepEqual(
      ground.told.map(({ reason }) => reason),
      ['WebhookDisabled', 'WebhookDisabled'],
    );
    for (const name of ['gone', 'dead']) {
      const { isEnabled, position } = await ground.get(name);
      assert.deepEqual([isEnabled, position], [false, 0]);
    }
  });

  check('what is too old is given up while the receiver fails, and what is not wanted is passed over', async (t, ground) => {
    const receiver = await startReceiver(t);
    await ground.tell('A', 'B');
    ground.clock.nowMs += limits.patienceMs + 1000;
    await ground.tell('Unwanted', 'C');
    const { nowMs } = ground.clock;
    await ground.add('w', receiver.url, {
      types: ['A', 'B', 'C'],
      attempts: 12,
      failingSinceMs: nowMs - 5,
      message: 'It answered 500',
    });
    ground.start(t);
    await until(async () => (await ground.get('w')).position === 4);
    assert.deepEqual(typesOf(receiver.seen), ['C']);
    const deliveries = await ground.store.deliveries('w', { state: 'given_up' }, undefined, 10);
    assert.deepEqual(
      deliveries.map(({ message }) => message),
      ['Given up: It answered 500', 'Given up: It answered 500'],
    );
  });

  check('events that are not kept any more are said to be lost, and what follows is told', async (t, ground) => {
    const receiver = await startReceiver(t);
    await ground.add('w', receiver.url);
    await ground.tell('A', 'B');
    await ground.trim();
    await ground.tell('C');
    ground.start(t);
    await until(async () => (await ground.get('w')).position === 3);
    assert.deepEqual(typesOf(receiver.seen), ['C']);
    const [lost] = await ground.store.deliveries('w', { state: 'given_up' }, undefined, 10);
    assert.deepEqual([lost?.type, lost?.message], ['EventsLost', 'Events after position 0 up to 2 are not kept any more']);
  });

  check('a webhook that was changed goes on as it is now; one that was deleted is told nothing', async (t, ground) => {
    const [old, young] = [await startReceiver(t), await startReceiver(t)];
    await ground.add('w', old.url);
    const { sender } = ground.start(t);
    await ground.tell('A');
    await until(async () => (await ground.get('w')).position === 1);
    const webhook = await ground.get('w');
    await ground.database.transaction((tx) => ground.store.updateWebhook(tx, { ...webhook, url: young.url }));
    await ground.tell('B');
    await until(() => young.seen.length === 1);
    await until(async () => (await ground.get('w')).position === 2);
    await ground.database.transaction((tx) => ground.store.removeWebhook(tx, 'w'));
    sender.refresh();
    await ground.tell('C');
    await ground.add('other', young.url, { position: 2 });
    sender.refresh();
    await until(() => young.seen.length === 2);
    assert.deepEqual([typesOf(old.seen), typesOf(young.seen)], [['A'], ['B', 'C']]);
    assert.deepEqual(await ground.store.deliveries('w', {}, undefined, 10), []);
  });

  check('a ping is sent at once, and has a receiver that failed tried again', async (t, ground) => {
    const receiver = await startReceiver(t, ({ type }) => (type === 'WebhookPing' ? 200 : 500));
    await ground.add('w', receiver.url, { isEnabled: false, attempts: 2, nextMs: ground.clock.nowMs + 10 });
    const { sender } = ground.start(t);
    const { signal } = new AbortController();
    const noted = await sender.ping(await ground.get('w'), signal);
    assert.deepEqual([noted.state, noted.status, noted.position], ['delivered', 200, 0]);
    assert.equal((await ground.get('w')).nextMs, 0);
    await receiver.close();
    const failed = await sender.ping(await ground.get('w'), signal);
    assert.deepEqual([failed.state, failed.status], ['given_up', 0]);
    assert.equal((await ground.store.deliveries('w', {}, undefined, 10)).length, 2);
  });

  check('only the newest deliveries are kept, page by page', async (_, ground) => {
    await ground.add('w', 'http://x.example');
    const times = { status: 200, durationMs: 1, message: '', attempts: 1 };
    await ground.database.transaction(async (tx) => {
      for (let at = 1; at <= 20; at++) {
        const delivery = {
          webhook: 'w',
          id: `e${at}`,
          position: at,
          type: 'T',
          state: 'delivered',
          firstMs: at,
          lastMs: at,
        } as const;
        await ground.store.putDelivery(tx, { ...delivery, ...times });
      }
      await ground.store.trimDeliveries(tx, 'w', 5);
    });
    const first = await ground.store.deliveries('w', {}, undefined, 3);
    const rest = await ground.store.deliveries('w', {}, first.at(-1), 10);
    assert.deepEqual(
      [...first, ...rest].map(({ position }) => position),
      [20, 19, 18, 17, 16],
    );
  });
}
