import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { type PostOptions, postWebhook } from './post-webhook.ts';

const { signal } = new AbortController();
const options = (more: Partial<PostOptions> = {}): PostOptions => ({
  ...{ isPrivateAllowed: true, privateSetting: 'x.private', timeoutMs: 5_000, ...more },
});

async function receiver(t: TestContext, status: number, answerHeaders: Readonly<Record<string, string>> = {}) {
  const seen: { headers: IncomingMessage['headers']; body: string }[] = [];
  const server = createServer(async (request, response) => {
    seen.push({ headers: request.headers, body: Buffer.concat(await Array.fromAsync(request)).toString() });
    response.writeHead(status, { location: 'http://127.0.0.1:1/', ...answerHeaders }).end('no');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return { seen, port: (server.address() as AddressInfo).port };
}

test('any answer is an answer, and redirects are not followed', async (t) => {
  for (const status of [200, 204, 302, 404, 500]) {
    const { seen, port } = await receiver(t, status);
    const answer = await postWebhook(
      { url: `http://127.0.0.1:${port}/x`, body: '{}', headers: { 'x-id': '7' } },
      options(),
      signal,
    );
    assert.deepEqual(answer, { status, retryAfterMs: 0 });
    assert.deepEqual([seen.length, seen[0]?.body, seen[0]?.headers['x-id']], [1, '{}', '7']);
  }
});

test('a receiver may say when to come again, in seconds', async (t) => {
  const asked = { '30': 30_000, 'Wed, 21 Oct 2026 07:28:00 GMT': 0, '-5': 0 };
  for (const [retryAfter, retryAfterMs] of Object.entries(asked)) {
    const { port } = await receiver(t, 503, { 'retry-after': retryAfter });
    const answer = await postWebhook({ url: `http://127.0.0.1:${port}/`, body: '', headers: {} }, options(), signal);
    assert.deepEqual(answer, { status: 503, retryAfterMs });
  }
});

test('private addresses only when they are allowed: as numbers in any form, and as names', async (t) => {
  const { seen, port } = await receiver(t, 200);
  for (const host of [
    '127.0.0.1',
    'localhost',
    '[::1]',
    '[::ffff:127.0.0.1]',
    '0x7f000001',
    '2130706433',
    '127.1',
    '169.254.169.254',
  ]) {
    const sent = postWebhook(
      { url: `http://${host}:${port}/`, body: '', headers: {} },
      options({ isPrivateAllowed: false }),
      signal,
    );
    await assert.rejects(sent, { reason: 'private_address', hint: /x\.private/ }, host);
  }
  assert.equal(seen.length, 0);
});

test('nobody there, no answer in time, too much, no web address', async (t) => {
  const { port } = await receiver(t, 200);
  const silent = createServer(() => undefined).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  t.after(() => {
    silent.closeAllConnections();
    silent.close();
  });
  const to = (url: string, timeoutMs = 5_000, body = '') =>
    postWebhook({ url, body, headers: {} }, options({ timeoutMs }), signal);
  await assert.rejects(to('http://127.0.0.1:1/'), { code: 'unavailable', reason: 'not_reached' });
  const silentUrl = `http://127.0.0.1:${(silent.address() as AddressInfo).port}/`;
  await assert.rejects(to(silentUrl, 50), { code: 'unavailable', reason: 'no_answer' });
  await assert.rejects(to(`http://127.0.0.1:${port}/`, 5_000, 'x'.repeat(2_000_000)), { code: 'invalid_argument' });
  for (const url of ['', 'x', `ftp://127.0.0.1:${port}/`, 'file:///etc/passwd'])
    await assert.rejects(to(url), { code: 'invalid_argument', reason: 'url_invalid' });
});
