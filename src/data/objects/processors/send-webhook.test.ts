import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { sendWebhook, type WebhookOptions } from './send-webhook.ts';

const { signal } = new AbortController();
const options = (more: Partial<WebhookOptions> = {}): WebhookOptions => ({
  ...{ secret: 's', isPrivateAllowed: true, timeoutMs: 5_000, now: () => 1_700_000_000_500 },
  ...more,
});

async function receiver(t: TestContext, status: number) {
  const seen: { headers: IncomingMessage['headers']; body: string }[] = [];
  const server = createServer(async (request, response) => {
    seen.push({ headers: request.headers, body: Buffer.concat(await Array.fromAsync(request)).toString() });
    response.writeHead(status, { location: 'http://127.0.0.1:1/' }).end('no');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return { seen, port: (server.address() as AddressInfo).port };
}

test('what is sent is signed and says which time it is', async (t) => {
  const { seen, port } = await receiver(t, 204);
  await sendWebhook({ url: `http://127.0.0.1:${port}/x`, body: '{"a":1}', id: '7' }, options(), signal);
  await sendWebhook({ url: `http://localhost:${port}/x`, body: '{}', id: '8' }, options({ secret: '' }), signal);
  const [first, second] = seen;
  const hmac = createHmac('sha256', 's').update('1700000000.{"a":1}').digest('hex');
  assert.equal(first?.headers['x-cellar-signature'], `t=1700000000,v1=${hmac}`);
  assert.deepEqual([first?.body, first?.headers['x-cellar-delivery']], ['{"a":1}', '7']);
  assert.equal(second?.headers['x-cellar-signature'], undefined);
});

test('an answer that is not good is no delivery, and redirects are not followed', async (t) => {
  for (const status of [302, 404, 500]) {
    const { seen, port } = await receiver(t, status);
    await assert.rejects(sendWebhook({ url: `http://127.0.0.1:${port}/`, body: '', id: '1' }, options(), signal), {
      code: 'unavailable',
    });
    assert.equal(seen.length, 1);
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
    const sent = sendWebhook({ url: `http://${host}:${port}/`, body: '', id: '1' }, options({ isPrivateAllowed: false }), signal);
    await assert.rejects(sent, { reason: 'private_address' }, host);
  }
  assert.equal(seen.length, 0);
});

test('nobody there, no answer in time, no web address', async (t) => {
  const { port } = await receiver(t, 200);
  const silent = createServer(() => undefined).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  t.after(() => {
    silent.closeAllConnections();
    silent.close();
  });
  const to = (url: string, timeoutMs = 5_000) => sendWebhook({ url, body: '', id: '1' }, options({ timeoutMs }), signal);
  await assert.rejects(to('http://127.0.0.1:1/'), { code: 'unavailable' });
  await assert.rejects(to(`http://127.0.0.1:${(silent.address() as AddressInfo).port}/`, 50), { code: 'unavailable' });
  for (const url of ['', 'x', `ftp://127.0.0.1:${port}/`, 'file:///etc/passwd']) {
    await assert.rejects(to(url), { code: 'invalid_argument' });
  }
});
