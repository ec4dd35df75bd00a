import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, statSync } from 'node:fs';
import { glob } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Index } from '#gen/cellar/data/v1/index_pb.ts';
import { Sync } from '#gen/cellar/data/v1/sync_pb.ts';
import { Role } from '#gen/cellar/kernel/v1/options_pb.ts';
import { type Caller, serviceCaller } from '#kernel/calls/caller.ts';
import type { Verdict } from '#kernel/guard/guard.ts';
import type { ServiceDefinition } from '#kernel/services/service.ts';
import { Secret } from '#kernel/settings/setting.ts';
import { startTestPlatform } from '#kernel/testing/platform.ts';
import { pause } from '#lib/pause.ts';
import { createS3Client } from '#s3/testing/client.ts';
import { index } from '../index/main.ts';
import { planData } from '../plan.ts';
import { sync } from '../sync/main.ts';
import { objects } from './main.ts';
import { createServer as createObjects } from './server.ts';

/* The service as it runs, over signed requests: what it does by itself. */

const credentials = { accessKey: 'AKTEST', secretKey: 'secret', region: 'us-east-1' };
const ada: Caller = { id: 'u1', name: 'ada', roles: [Role.USER], scopes: ['*'], via: '' };
const guard = {
  keySecret: async (accessKey: string) =>
    accessKey === credentials.accessKey ? { secret: credentials.secretKey, caller: ada } : undefined,
  assertAllowed: async () => undefined,
  verdict: async (): Promise<Verdict> => ({ kind: 'allowed' }),
  knownVerdict: () => undefined,
  findUser: async () => undefined,
};

function temporary(t: TestContext): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'cellar-service-')));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A service over bucket `docs`; `start` runs it, again after `stop` as after a restart. */
function setUp(t: TestContext, settings: Readonly<Record<string, unknown>> = {}) {
  const [home, parent] = [temporary(t), temporary(t)];
  mkdirSync(join(parent, 'docs'));
  const planned = planData({ docs: { folder: join(parent, 'docs') } }, {}).instances;
  return {
    home,
    folder: join(parent, 'docs'),
    /** `hasTree`: with an index and a sync beside it. */
    async start({ hasTree = false } = {}) {
      const definition = {
        ...objects,
        start: (micro: Parameters<typeof objects.start>[0]) =>
          createObjects(micro as Parameters<typeof createObjects>[0], { guard }),
      };
      const definitions: Readonly<Record<string, ServiceDefinition>> = {
        [objects.name]: definition,
        ...(hasTree ? { [index.name]: index, [sync.name]: sync } : {}),
      };
      const instances = planned.flatMap(({ service, instance, plan }) => {
        const found = definitions[service];
        return found ? [{ definition: found, instance, plan }] : [];
      });
      const platform = await startTestPlatform(instances, { home, settings: { [objects.name]: settings } });
      const server = createServer((request, response) =>
        platform.surroundings.forward(`${objects.name}.local1`, request, response),
      ).listen(0, '127.0.0.1');
      await once(server, 'listening');
      const stop = async (): Promise<void> => {
        server.closeAllConnections();
        server.close();
        await platform.stop();
      };
      t.after(stop);
      const { port } = server.address() as AddressInfo;
      return { client: createS3Client(`http://127.0.0.1:${port}`, credentials), platform, stop };
    },
  };
}

/** Somebody who is told things. */
async function receiver(t: TestContext) {
  const told: string[] = [];
  const signatures: boolean[] = [];
  const server = createServer(async (request, response) => {
    const body = Buffer.concat(await Array.fromAsync(request)).toString();
    const [, time, hex] = /^t=(\d+),v1=(\w+)$/.exec(String(request.headers['x-cellar-signature'])) ?? [];
    signatures.push(createHmac('sha256', 'shared').update(`${time}.${body}`).digest('hex') === hex);
    const { Records } = JSON.parse(body) as {
      Records: { eventName: string; userIdentity: { principalId: string }; s3: { object: { key: string; size?: number } } }[];
    };
    for (const { eventName, userIdentity, s3 } of Records)
      told.push(
        [eventName, s3.object.key, s3.object.size, userIdentity.principalId].filter((word) => word !== undefined).join(' '),
      );
    response.end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return { told, signatures, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` };
}

async function until(isReached: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isReached())) await pause(20);
}

const notify = (url: string): string =>
  `<NotificationConfiguration><TopicConfiguration><Id>r</Id><Topic>${url}</Topic><Event>s3:ObjectCreated:*</Event><Event>s3:ObjectRemoved:*</Event></TopicConfiguration></NotificationConfiguration>`;

test('receivers of a bucket are told what is done to it, also to keys that are no file names, and after a restart', async (t) => {
  const { start } = setUp(t, { webhookSecret: new Secret('shared'), webhooksToPrivate: true });
  const { told, signatures, url } = await receiver(t);
  const first = await start();
  await first.client.send('PUT', '/docs/before', { body: 'x' });
  const set = await first.client.send('PUT', '/docs', { query: { notification: '' }, body: notify(url) });
  assert.equal(set.status, 200, set.text);
  const sse = { 'x-amz-server-side-encryption': 'AES256' };
  await first.client.send('PUT', '/docs/a b', { body: 'four', headers: sse });
  await first.client.send('PUT', '/docs/a/../b', { body: 'hard' });
  await first.client.send('PUT', '/docs/c', { headers: { 'x-amz-copy-source': '/docs/a%20b' } });
  await first.client.send('DELETE', '/docs/c');
  await first.stop();
  const second = await start();
  await second.client.send('PUT', '/docs/d', { body: '' });
  await until(() => told.length >= 5);
  assert.deepEqual(told.toSorted(), [
    'ObjectCreated:Copy c 4 u1',
    'ObjectCreated:Put a+b 4 u1',
    'ObjectCreated:Put a/../b 4 u1',
    'ObjectCreated:Put d 0 u1',
    'ObjectRemoved:Delete c u1',
  ]);
  assert.ok(signatures.every(Boolean));
});

test('rules are followed by the service itself', async (t) => {
  const { start } = setUp(t, { lifecycleSeconds: 1, lifecycleDaySeconds: 1 });
  const { client } = await start();
  for (const key of ['log/1', 'keep']) await client.send('PUT', `/docs/${key}`, { body: 'x' });
  const body =
    '<LifecycleConfiguration><Rule><ID>r</ID><Status>Enabled</Status><Filter><Prefix>log/</Prefix></Filter><Expiration><Days>1</Days></Expiration></Rule></LifecycleConfiguration>';
  const set = await client.send('PUT', '/docs', { query: { lifecycle: '' }, body });
  assert.equal(set.status, 200, set.text);
  await until(async () => (await client.send('HEAD', '/docs/log/1')).status === 404);
  assert.equal((await client.send('HEAD', '/docs/keep')).status, 200);
});

test('keys lie in the folder of the service, for nobody else, and open after a restart', async (t) => {
  const { home, start } = setUp(t);
  const first = await start();
  const headers = { 'x-amz-server-side-encryption': 'aws:kms' };
  const { text } = await first.client.send('POST', '/docs/big', { query: { uploads: '' }, headers });
  const uploadId = /<UploadId>(\w+)</.exec(text)?.[1] ?? '';
  const query = { uploadId, partNumber: '1' };
  const part = await first.client.send('PUT', '/docs/big', { query, body: 'a part' });
  await first.stop();
  const second = await start();
  const body = `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>${part.headers.etag}</ETag></Part></CompleteMultipartUpload>`;
  assert.equal((await second.client.send('POST', '/docs/big', { query: { uploadId }, body })).status, 200);
  assert.equal((await second.client.send('GET', '/docs/big')).text, 'a part');
  const [file] = await Array.fromAsync(glob('**/keys.json', { cwd: home }));
  assert.ok(file);
  assert.equal(statSync(join(home, file)).mode & 0o777, 0o600);
});

test('sync finds encrypted objects as they were told', async (t) => {
  const { start } = setUp(t);
  const { client, platform } = await start({ hasTree: true });
  const caller = serviceCaller('cellar.grpc.test');
  const tree = platform.client(Index, caller, `${index.name}.docs`);
  const passes = platform.client(Sync, { ...caller, roles: [Role.SERVICE, Role.ADMIN] }, `${sync.name}.docs`);
  const headers = { 'x-amz-server-side-encryption': 'AES256' };
  const put = await client.send('PUT', '/docs/f/a', { body: 'x'.repeat(100_000), headers });
  const found = async () => (await tree.getNode({ path: 'f/a' }).catch(() => undefined))?.etag;
  await until(async () => (await found()) === put.headers.etag?.replaceAll('"', ''));
  await Array.fromAsync(passes.resync({}));
  const again = (await Array.fromAsync(passes.resync({ dryRun: true }))).at(-1);
  assert.deepEqual([again?.created, again?.updated, again?.deleted], [0n, 0n, 0n]);
  assert.equal(await found(), put.headers.etag?.replaceAll('"', ''));
});
