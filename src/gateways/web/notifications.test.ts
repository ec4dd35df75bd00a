import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { Trace } from '#kernel/calls/trace.ts';
import { Fault, unauthenticated, unavailable } from '#kernel/fault.ts';
import { sendProblem } from '#kernel/rest/answer.ts';
import { createNotificationsDoor, type NotificationsDoorOptions } from './notifications.ts';

/** The door before a sync that takes `good` and says what it took; `away` is not running. */
async function start(t: TestContext) {
  const seen: { service: string | undefined; records: readonly unknown[] }[] = [];
  const state = { isAway: false };
  const options = {
    registry: { get: (name: string) => (name.endsWith('.photos') ? {} : undefined) },
    client: (_desc: unknown, { service }: { service?: string } = {}) => ({
      takeNotification: async ({ token, records = [] }: { token: string; records?: readonly unknown[] }) => {
        if (state.isAway) throw unavailable('It is starting');
        if (token !== 'good') throw unauthenticated('Cannot take the notification: its token is not known');
        if (records.length > 0) seen.push({ service, records });
        return { taken: BigInt(records.length), ignored: 0n };
      },
    }),
    trustsProxy: true,
    headers: {},
  } as unknown as NotificationsDoorOptions;
  const door = createNotificationsDoor(options);
  const server = createServer((request, response) => {
    door(request.url ?? '', request, response).catch((error: unknown) =>
      sendProblem(request, response, Fault.from(error), Trace.parse(undefined)),
    );
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const post = async (
    body: string,
    { path = '/notifications/photos', authorization = 'Bearer good', from = '192.0.2.1' } = {},
  ) => {
    const headers = { 'x-forwarded-for': from, ...(authorization === '' ? {} : { authorization }) };
    const response = await fetch(url + path, { method: 'POST', body, headers });
    return { status: response.status, body: (await response.json()) as Record<string, unknown>, headers: response.headers };
  };
  return { seen, state, url, post };
}

const message = JSON.stringify({
  Records: [{ eventName: 'ObjectCreated:Put', s3: { bucket: { name: 'b' }, object: { key: 'k' } } }],
});
const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`;

test('a notification is handed to the sync of its datasource, by either way to give the token', async (t) => {
  const { seen, post } = await start(t);
  for (const authorization of ['Bearer good', 'bearer good', basic('cellar:good'), basic(':good')])
    assert.deepEqual(await post(message, { authorization }).then(({ status, body }) => [status, body]), [
      200,
      { taken: 1, ignored: 0 },
    ]);
  assert.equal(seen.length, 4);
  const { service, records } = seen[0] ?? {};
  assert.deepEqual([service, records], ['cellar.grpc.data.sync.photos', [{ bucket: 'b', key: 'k' }]]);
});

test('strangers learn nothing, whatever they send', async (t) => {
  const { post } = await start(t);
  const refused = new Set<unknown>();
  for (const [body, options] of [
    [message, { authorization: '' }],
    [message, { authorization: 'Bearer wrong' }],
    [message, { authorization: basic('good:wrong') }],
    [message, { authorization: 'Bearer' }],
    [message, { path: '/notifications/none' }],
    [message, { path: '/notifications/' }],
    ['{', { authorization: 'Bearer wrong' }],
    ['x'.repeat(2 * 1024 * 1024), { authorization: 'Bearer wrong' }],
  ] as const) {
    const { status, body: problem } = await post(body, options);
    assert.equal(status, 401, JSON.stringify([body, options]));
    refused.add(problem['detail']);
  }
  assert.equal(refused.size, 1);
});

test('what is no notification is refused in words', async (t) => {
  const { post, url } = await start(t);
  for (const [body, words] of [
    ['{', /not JSON/],
    ['', /no list "Records"/],
    ['{"Records": [{}]}', /record 1 has no s3\.bucket\.name/],
  ] as const) {
    const { status, body: problem } = await post(body);
    assert.deepEqual([status, words.test(String(problem['detail']))], [400, true], String(problem['detail']));
  }
  assert.equal((await post(`"${'x'.repeat(1024 * 1024)}"`)).status, 413);
  const read = await fetch(`${url}/notifications/photos`);
  assert.deepEqual([read.status, read.headers.get('allow')], [405, 'POST']);
});

test('who is refused again and again has to wait; others, and those who wait for sync, have not', async (t) => {
  const { post, state } = await start(t);
  let status = 401;
  for (let at = 0; at < 200 && status === 401; at++) status = (await post(message, { authorization: 'Bearer wrong' })).status;
  assert.equal(status, 429);
  assert.ok(Number((await post(message, { authorization: 'Bearer wrong' })).headers.get('retry-after') ?? 1) >= 1);
  state.isAway = true;
  for (let at = 0; at < 60; at++) assert.equal((await post(message, { from: '192.0.2.2' })).status, 503);
  state.isAway = false;
  assert.equal((await post(message, { from: '192.0.2.2' })).status, 200);
});
