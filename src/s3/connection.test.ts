import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { S3Client } from './testing/client.ts';
import { startTestS3, type TestS3 } from './testing/server.ts';

interface Wire extends TestS3 {
  readonly socket: Socket;
  /** Resolves with all that came so far once `pattern` is in it; rejects when the connection ends before. */
  seen(pattern: RegExp): Promise<string>;
}

async function dial(t: TestContext, options: Parameters<typeof startTestS3>[1] = {}): Promise<Wire> {
  const s3 = await startTestS3(t, options);
  const { hostname, port } = new URL(s3.endpoint);
  const socket = connect(Number(port), hostname);
  t.after(() => socket.destroy());
  let text = '';
  socket.on('data', (data) => {
    text += data.toString('latin1');
  });
  await once(socket, 'connect');
  return {
    ...s3,
    socket,
    async seen(pattern) {
      while (!pattern.test(text)) {
        if (socket.readableEnded || socket.destroyed) throw new Error(`The connection ended after ${JSON.stringify(text)}`);
        await Promise.race([once(socket, 'data'), once(socket, 'close')]);
      }
      const found = text;
      text = '';
      return found;
    },
  };
}

function head(
  client: S3Client,
  method: string,
  path: string,
  length: number,
  more: Record<string, string> = {},
  payloadHash = 'UNSIGNED-PAYLOAD',
): string {
  const headers = { ...client.sign(method, path, { payloadHash }), 'content-length': String(length), ...more };
  return `${method} ${path} HTTP/1.1\r\n${Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('')}\r\n`;
}

test('Connection_is_used_again_after_errors', async (t) => {
  const { client, socket, seen } = await dial(t);
  socket.write(`${head(client, 'PUT', '/nowhere/a', 5)}hello`);
  await seen(/404 Not Found[\s\S]*NoSuchBucket[\s\S]*<\/Error>$/);
  socket.write(`${head(client, 'PUT', '/photos/a', 5)}hello`);
  await seen(/200 OK/);
  socket.write(head(client, 'HEAD', '/photos/none', 0));
  await seen(/404 Not Found[\s\S]*\r\n\r\n$/);
  socket.write(head(client, 'GET', '/photos/a', 0));
  await seen(/200 OK[\s\S]*\r\n\r\nhello$/);
});

test('Connection_is_closed_when_a_long_body_is_not_wanted', async (t) => {
  const { client, socket, seen } = await dial(t);
  socket.write(head(client, 'PUT', '/nowhere/a', 50_000_000));
  assert.match(await seen(/<\/Error>/), /connection: close/i);
  const chunk = Buffer.alloc(1_000_000);
  await new Promise<void>((resolve) => {
    const send = (): void => {
      while (!socket.destroyed && socket.write(chunk));
    };
    // How the end shows, as an error or not, is up to the system.
    socket
      .on('error', () => undefined)
      .on('drain', send)
      .once('close', () => resolve());
    send();
  });
});

test('Expect_100_continue_only_after_authentication', async (t) => {
  const { client, socket, seen } = await dial(t);
  socket.write(head(client, 'PUT', '/photos/a', 5, { expect: '100-continue' }));
  assert.equal(await seen(/\r\n\r\n/), 'HTTP/1.1 100 Continue\r\n\r\n');
  socket.write('hello');
  await seen(/200 OK/);
  socket.write(head(client, 'PUT', '/photos/a', 5, { expect: '100-continue', authorization: 'AWS4-HMAC-SHA256 nonsense' }));
  assert.match(await seen(/<\/Error>/), /^HTTP\/1.1 400 Bad Request/);
});

test('PutObject_that_is_broken_off_leaves_nothing', async (t) => {
  const { client, socket, folder, changes } = await dial(t);
  socket.write(`${head(client, 'PUT', '/photos/a', 500_000)}${'x'.repeat(200_000)}`);
  socket.end();
  await once(socket, 'close');
  // The next write waits for nothing of the first one, so look until the server has seen the end as well.
  for (;;) {
    await client.send('PUT', '/photos/b', { body: 'x' });
    if (readdirSync(join(folder, '.cellar', 'tmp')).length === 0) break;
  }
  assert.deepEqual(readdirSync(folder).sort(), ['.cellar', 'b']);
  assert.ok(changes.every(({ key }) => key === 'b'));
});

test('Requests_that_cannot_be_read', async (t) => {
  const { client } = await startTestS3(t);
  for (const url of ['/photos/%zz', '/photos/%ff', '/photos/a?%c3=1']) {
    const answer = await client.sendRaw('GET', url, {});
    assert.deepEqual([answer.status, answer.code], [400, 'InvalidURI']);
  }
});
