/** How fast large objects go through S3: our handler and folder backend, beside a bare server that hashes, writes and syncs the same. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { signHeaders } from '../src/lib/sigv4-signer.ts';
import { benchCredentials } from './objects-parts.ts';
import { isQuick, median, report } from './report.ts';
import { startPinned } from './s3-servers.ts';

const runs = isQuick ? 3 : 9;
const sizeBytes = 64 * 1024 * 1024;
const chunk = Buffer.alloc(1024 * 1024, 'cellar');

const parent = realpathSync(mkdtempSync(join(tmpdir(), 'cellar-stream-')));
const buckets = join(parent, 'buckets');
mkdirSync(join(buckets, 'bench'), { recursive: true });
const servers = {
  'bare server': await startPinned('s3-bare-server.ts', [buckets]),
  cellar: await startPinned('objects-server.ts', [buckets, `sqlite:${join(parent, 'objects.db')}`]),
};
const names = ['bare server', 'cellar'] as const;

/** One request of 64 MiB, either way. Result: how long it took. Unit: milliseconds. */
async function transfer(port: number, method: 'GET' | 'PUT', name: string): Promise<number> {
  const host = `127.0.0.1:${port}`;
  const path = `/bench/${name}`;
  const query: [string, string][] = method === 'GET' ? [['big', '']] : [];
  const signable = { method, path, query, headers: new Map([['host', host]]) };
  const headers = { host, ...signHeaders(signable, 'UNSIGNED-PAYLOAD', benchCredentials, Date.now()) };
  const startMs = performance.now();
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const target = { host: '127.0.0.1', port, method, path: method === 'GET' ? `${path}?big=` : path };
  const sent = httpRequest({ ...target, headers: { ...headers, 'content-length': method === 'PUT' ? sizeBytes : 0 } }, resolve);
  sent.once('error', reject);
  if (method === 'PUT')
    for (let at = 0; at < sizeBytes; at += chunk.length)
      if (!sent.write(chunk)) await new Promise<void>((drained) => sent.once('drain', drained));
  sent.end();
  const response = await promise;
  let received = 0;
  for await (const piece of response) received += (piece as Buffer).length;
  if (response.statusCode !== 200 || (method === 'GET' && received !== sizeBytes))
    throw new Error(`${method} was answered with ${response.statusCode} and ${received} bytes`);
  return performance.now() - startMs;
}

try {
  const rows: (string | number)[][] = [];
  const claims = [];
  for (const method of ['PUT', 'GET'] as const) {
    const times = { 'bare server': [] as number[], cellar: [] as number[] };
    // In turns: what else the machine does hits both.
    for (let run = -1; run < runs; run++)
      for (const name of names) {
        const ms = await transfer(servers[name].port, method, name.replace(' ', '-'));
        if (run >= 0) times[name].push(ms);
      }
    const rate = (name: (typeof names)[number]): number => sizeBytes / 1024 ** 2 / (median(times[name]) / 1_000);
    const share = (rate('cellar') / rate('bare server')) * 100;
    rows.push([`${method} 64 MiB`, Math.round(rate('bare server')), Math.round(rate('cellar'))]);
    claims.push({
      what: `${method} 64 MiB, share of the bare server, %`,
      target: '>= 80',
      measured: Math.round(share),
      holds: share >= 80,
    });
  }
  report('s3-stream', { columns: ['request', 'bare server, MiB/s', 'cellar, MiB/s'], rows, claims });
} finally {
  await Promise.all(names.map((name) => servers[name].stop()));
  rmSync(parent, { recursive: true, force: true });
}
