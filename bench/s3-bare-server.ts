/**
 * What S3 costs at the very least: `node s3-bare-server.ts PARENT` checks signatures with our code, reads `PARENT/bucket/key` and writes it
 * with MD5, fsync and rename; no versions, rows, rights or events. Prints `{"port"}` when it listens.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { open, readFile, rename, stat } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createAuthenticate } from '../src/s3/authenticate.ts';
import { readHead } from '../src/s3/request.ts';
import { benchCredentials } from './objects-parts.ts';

const [parent = ''] = process.argv.slice(2);
const smallBytesMax = 1024 * 1024;
const { accessKey, secretKey, region } = benchCredentials;
const authenticate = createAuthenticate<string>({
  keySecret: async (key) => (key === accessKey ? { secret: secretKey, caller: 'bench' } : undefined),
  region,
  allowsSignatureV2: false,
});

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const head = readHead(request);
  await authenticate.request(head, head.path, Date.now());
  const path = join(parent, head.path);
  if (request.method === 'PUT') return await write(path, request, response);
  // Reading a small file as it is, without asking for its size, is the least there can be.
  if (!head.queryByName.has('big')) {
    const bytes = await readFile(path);
    response.writeHead(200, { 'content-length': bytes.length, 'content-type': 'binary/octet-stream', etag: '"none"' }).end(bytes);
    return;
  }
  const { size } = await stat(path);
  response.writeHead(200, { 'content-length': size, 'content-type': 'binary/octet-stream', etag: '"none"' });
  await pipeline(createReadStream(path, { highWaterMark: smallBytesMax }), response);
}

async function write(path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const md5 = createHash('md5');
  const file = await open(`${path}.new`, 'w');
  try {
    for await (const chunk of request) {
      md5.update(chunk);
      await file.write(chunk);
    }
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.new`, path);
  const folder = await open(dirname(path));
  await folder.sync();
  await folder.close();
  response.writeHead(200, { etag: `"${md5.digest('hex')}"`, 'content-length': 0 }).end();
}

const server = createServer((request, response) => {
  answer(request, response).catch((error: unknown) => {
    console.error(error);
    response.destroy();
  });
}).listen(0, '127.0.0.1');
await once(server, 'listening');
console.log(JSON.stringify({ port: (server.address() as AddressInfo).port }));
process.stdin.resume().on('end', () => process.exit());
