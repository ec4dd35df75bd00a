/**
 * The S3 server of the objects benchmarks, alone in its process: `node objects-server.ts PARENT DATABASE`. Every child of PARENT is a bucket,
 * and whoever has the key may do all. Prints `{"port"}` when it listens.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { silentLog } from '../src/kernel/log.ts';
import { createS3Handler } from '../src/s3/handler.ts';
import { benchCredentials, openObjects } from './objects-parts.ts';

const [parent = '', url = ''] = process.argv.slice(2);
const { backend } = await openObjects(parent, url);
const handler = createS3Handler<string>({
  backend,
  authenticate: async (accessKey) =>
    accessKey === benchCredentials.accessKey ? { secret: benchCredentials.secretKey, caller: 'bench' } : undefined,
  user: (name) => ({ id: name, displayName: name }),
  verdict: () => ({ kind: 'allowed' }),
  log: silentLog,
  now: Date.now,
});
const server = createServer(handler).on('checkContinue', handler).listen(0, '127.0.0.1');
await once(server, 'listening');
console.log(JSON.stringify({ port: (server.address() as AddressInfo).port }));
// Ends with who started it.
process.stdin.resume().on('end', () => process.exit());
