import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Index } from '#gen/cellar/data/v1/index_pb.ts';
import { Sync, SyncStatus_State } from '#gen/cellar/data/v1/sync_pb.ts';
import { Role } from '#gen/cellar/kernel/v1/options_pb.ts';
import { temporaryFolder, until } from '#kernel/testing/engines.ts';
import { startTestPlatform } from '#kernel/testing/platform.ts';
import { startTestS3 } from '#s3/testing/server.ts';
import { index } from '../index/main.ts';
import { objects } from '../objects/main.ts';
import { planData } from '../plan.ts';
import { service } from '../testing/data-platform.ts';
import { sync } from './main.ts';

const yearMinutes = 525_600;

/** Real objects, index and sync services over the bucket `photos` of another server, of whose operations `asked` has the names. */
async function start(t: TestContext, remotePassMinutes = yearMinutes) {
  const asked: string[] = [];
  const there = await startTestS3(t, { isDenied: (operation) => asked.push(operation) === 0 });
  const home = temporaryFolder();
  t.after(() => home[Symbol.dispose]());
  const secretKeyFile = join(home.path, 'secret');
  writeFileSync(secretKeyFile, 'secret+/=');
  const place = { endpoint: there.endpoint, bucket: 'photos', prefix: 'in/', region: 'us-east-1', accessKey: 'AKTEST' };
  const { instances } = planData({ away: { kind: 'remote', remote: { ...place, secretKeyFile } } }, {});
  const definitions = [objects, index, sync];
  const platform = await startTestPlatform(
    instances.flatMap(({ service: name, instance, plan }) =>
      definitions.filter((one) => one.name === name).map((definition) => ({ definition, instance, plan })),
    ),
    { home: home.path, settings: { [sync.name]: { remotePassMinutes } } },
  );
  t.after(() => platform.stop());
  const client = platform.client(Sync, { ...service, roles: [Role.SERVICE, Role.ADMIN] }, `${sync.name}.away`);
  const found = platform.client(Index, service, `${index.name}.away`);
  mkdirSync(join(there.folder, 'in'));
  writeFileSync(join(there.folder, 'in/old'), 'old');
  const status = () => client.getSyncStatus({});
  await until(async () => (await status()).state === SyncStatus_State.WATCHING, 15_000);
  const { token } = await client.createNotificationToken({});
  return {
    ...{ there, asked, client, status },
    write: (path: string) => {
      mkdirSync(join(there.folder, 'in', path, '..'), { recursive: true });
      writeFileSync(join(there.folder, 'in', path), path);
    },
    take: (...keys: string[]) => client.takeNotification({ token, records: keys.map((key) => ({ bucket: 'photos', key })) }),
    has: async (path: string): Promise<boolean> => (await found.findEntries({ paths: [path] })).found[0]?.entry !== undefined,
  };
}

test('what another server names is looked at, and only that', async (t) => {
  const { there, asked, status, write, take, has } = await start(t);
  assert.equal((await status()).notified, false);
  write('deep/er/a b.txt');
  write('untold');
  asked.length = 0;
  assert.equal((await take('in/deep/er/a+b.txt', 'elsewhere', 'in/not-there')).taken, 2n);
  await until(() => has('deep/er/a b.txt'));
  assert.equal(await has('untold'), false);
  assert.ok(
    asked.every((operation) => operation === 'ListObjectsV2'),
    String(asked),
  );
  rmSync(join(there.folder, 'in/deep'), { recursive: true });
  // What it says happened does not matter: the object itself is asked.
  await take('in/deep/er/a+b.txt', 'in/old');
  await until(async () => !(await has('deep')));
  assert.equal(await has('old'), true);
  const { notified, notifications } = await status();
  assert.deepEqual([notified, notifications?.taken, notifications?.ignored], [true, 4n, 1n]);
});

test('a flood becomes one pass over the part that is affected', async (t) => {
  const { asked, status, write, take, has } = await start(t);
  for (let at = 0; at < 20; at++) write(`many/${at}`);
  write('untold');
  // Whatever is remembered from a start is looked at first.
  await take('in/many/0');
  await until(() => has('many/0'));
  await until(async () => (await status()).running === undefined);
  asked.length = 0;
  for (let batch = 0; batch < 3; batch++)
    await take(...Array.from({ length: 3000 }, (_, at) => `in/many/${batch * 3000 + at + 1}`));
  await until(() => has('many/19'), 20_000);
  await until(async () => (await status()).waiting === 0n && (await status()).running === undefined, 20_000);
  assert.ok(asked.length < 100, `${asked.length} requests for 9,000 keys`);
  assert.equal(await has('untold'), false);
});

test('what was never told is found by the next listing', async (t) => {
  const { write, has } = await start(t, 0.005);
  write('untold');
  await until(() => has('untold'), 20_000);
});
