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
    response.writeHead(status).end('no');
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

test('an answer that is not good is no delivery', async (t) => {
  for (const status of [302, 404, 500]) {
    const { port } = await receiver(t, status);
    await assert.rejects(sendWebhook({ url: `http://127.0.0.1:${port}/`, body: '', id: '1' }, options(), signal), {
      code: 'unavailable',
      message: `127.0.0.1:${port} answered ${status}`,
    });
  }
});

test('private addresses are refused unless the setting allows them', async (t) => {
  const { seen, port } = await receiver(t, 200);
  const sent = sendWebhook({ url: `http://127.0.0.1:${port}/`, body: '', id: '1' }, options({ isPrivateAllowed: false }), signal);
  await assert.rejects(sent, { reason: 'private_address', hint: /objects\.webhooksToPrivate/ });
  assert.equal(seen.length, 0);
});
