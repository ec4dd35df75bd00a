import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { silentLog } from '#kernel/log.ts';
import { openStream } from '#kernel/streams/sql-stream.ts';
import { sqliteFactory } from '#kernel/testing/databases.ts';
import { acting } from '#s3/actor.ts';
import { type BucketSettings, installation, type NotificationRule } from '#s3/bucket-settings.ts';
import { changeEvent } from '../rpc/change-event.ts';
import { createNotifications } from './notifications.ts';

interface Told {
  readonly id: string;
  readonly record: {
    readonly eventName: string;
    readonly operation: string;
    readonly userIdentity: { readonly principalId: string };
    readonly s3: { readonly object: { readonly key: string } };
  };
}

async function start(t: TestContext) {
  const database = await sqliteFactory.open(t);
  const stream = await openStream({ database, name: 'changes' });
  const told: Told[] = [];
  const state = { status: 200 };
  let onTold: (() => void) | undefined;
  const server = createServer(async (request, response) => {
    const body = JSON.parse(Buffer.concat(await Array.fromAsync(request)).toString()) as { Records: Told['record'][] };
    told.push({ id: String(request.headers['x-cellar-delivery']), record: body.Records[0]! });
    response.writeHead(state.status).end();
    onTold?.();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const target = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const settings = new Map<string, BucketSettings>();
  const setRules = (...rules: Partial<NotificationRule>[]) =>
    settings.set('b', {
      owner: installation,
      notifications: rules.map((rule, index) => ({
        ...{ id: `r${index}`, target, events: ['s3:ObjectCreated:*'], prefix: '', suffix: '' },
        ...rule,
      })),
    });
  /** As a process that starts; ended by what it returns, as when it is killed. */
  const run = async () => {
    const controller = new AbortController();
    const notifications = await createNotifications({
      stream,
      database,
      allSettings: async () => settings,
      webhook: () => ({ secret: 's', isPrivateAllowed: true, timeoutMs: 5_000, now: Date.now }),
      log: silentLog,
      now: Date.now,
      retry: { firstMs: 1, maxMs: 10 },
    });
    const running = notifications.run(controller.signal);
    const end = async () => {
      controller.abort();
      await running;
    };
    t.after(end);
    return { notifications, end };
  };
  const change = async (key: string, kind: 'put' | 'delete' = 'put') => {
    const event = changeEvent({ bucket: 'b', key, kind, sizeBytes: 1, mtimeMs: 1, etag: 'e' });
    await database.transaction((tx) => stream.append(tx, [event]));
  };
  const until = async (isReached: () => boolean) => {
    while (!isReached()) await new Promise<void>((resolve) => (onTold = resolve));
  };
  const keys = () => told.map(({ record }) => record.s3.object.key);
  return { told, state, setRules, settings, run, change, until, keys };
}

test('what rules ask for is told, with who did what', async (t) => {
  const { told, setRules, run, change, until } = await start(t);
  const { notifications } = await run();
  setRules({ prefix: 'a/' }, { events: ['s3:ObjectRemoved:*'] }, { target: '', events: ['s3:*'] });
  await notifications.refresh();
  await change('b/1');
  const actor = { operation: 'CopyObject', key: 'a/1', userId: 'u1', address: '192.0.2.1', requestId: 'R' };
  await acting.run(actor, () => change('a/1'));
  await change('x', 'delete');
  await until(() => told.length === 2);
  const found = told.map(({ record }) => [
    record.eventName,
    record.s3.object.key,
    record.userIdentity.principalId,
    record.operation,
  ]);
  assert.deepEqual(found.sort(), [
    ['ObjectCreated:Copy', 'a/1', 'u1', 'CopyObject'],
    ['ObjectRemoved:Delete', 'x', '', ''],
  ]);
});

test('who does not answer well is told again, as the same delivery', async (t) => {
  const { told, state, setRules, run, change, until } = await start(t);
  state.status = 500;
  const { notifications } = await run();
  setRules({});
  await notifications.refresh();
  await change('k');
  await until(() => told.length >= 3);
  state.status = 200;
  const count = told.length;
  await until(() => told.length > count);
  assert.equal(new Set(told.map(({ id }) => id)).size, 1);
});

test('nothing is lost when the process ends, before or after it was read', async (t) => {
  const { told, state, setRules, run, change, until, keys } = await start(t);
  state.status = 500;
  const first = await run();
  setRules({});
  await first.notifications.refresh();
  await change('a');
  await until(() => told.length >= 1);
  await first.end();
  await change('b');
  state.status = 200;
  await run();
  await until(() => ['a', 'b'].every((key) => keys().includes(key)));
});

test('rules are about what happens after they were made', async (t) => {
  const { told, setRules, settings, run, change, until, keys } = await start(t);
  const { notifications } = await run();
  await change('before');
  setRules({});
  await notifications.refresh();
  await change('after');
  await until(() => told.length >= 1);
  settings.clear();
  await notifications.refresh();
  await change('without');
  setRules({});
  await notifications.refresh();
  await change('again');
  await until(() => told.length >= 2);
  assert.deepEqual(keys(), ['after', 'again']);
});
