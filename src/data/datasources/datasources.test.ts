import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { Datasource_Kind, Datasources } from '#gen/cellar/data/v1/datasources_pb.ts';
import { SyncStatus_State } from '#gen/cellar/data/v1/sync_pb.ts';
import { SettingSchema, Settings } from '#gen/cellar/platform/v1/services_pb.ts';
import type { Caller } from '#kernel/calls/caller.ts';
import { implement } from '#kernel/calls/dispatcher.ts';
import { permissionDenied } from '#kernel/fault.ts';
import { ServiceState } from '#kernel/services/registry.ts';
import { defineService } from '#kernel/services/service.ts';
import { until } from '#kernel/testing/engines.ts';
import { startTestS3 } from '#s3/testing/server.ts';
import { startDataPlatform, temporaryParent, user } from '../testing/data-platform.ts';
import { checkFolder } from './logic/check-folder.ts';
import { datasources } from './main.ts';
import { createServer } from './server.ts';

/** Settings that are only remembered, and a plan that makes the services known when one is set, as the supervisor would. */
async function start(t: TestContext, isReadable = (_name: string) => true) {
  const stored = new Map<string, string>();
  const onSet = { call: (_key: string, _value: string | undefined): void => undefined };
  const settings = defineService({
    name: 'cellar.grpc.settings',
    description: 'Remembers.',
    contracts: [Settings],
    settings: {},
    needs: [],
    placement: 'main',
    start: async () => ({
      bindings: [
        implement(Settings, {
          listSettings: () => ({}),
          getSetting: ({ key }) => ({ key }),
          setSetting: ({ key, value }) => {
            stored.set(key, value);
            onSet.call(key, value);
            return { key, value };
          },
          unsetSetting: ({ key }) => {
            stored.delete(key);
            onSet.call(key, undefined);
            return create(SettingSchema, { key });
          },
        }),
      ],
    }),
  });
  const guard = {
    assertAllowed: async (_caller: Caller, action: string, resource: string) => {
      if (action !== 'data:read' || !isReadable(resource.slice('data/'.length))) throw permissionDenied('No');
    },
  };
  const guarded: typeof datasources = { ...datasources, start: (micro) => createServer(micro, { guard }) };
  const more = [settings, guarded].map((definition) => ({ definition, instance: '', plan: undefined }));
  const data = await startDataPlatform(t, { more });
  return { data, stored, onSet, client: data.platform.client(Datasources, user), registry: data.platform.surroundings.registry };
}

test('datasources are listed with the state of their sync', async (t) => {
  const { data, client } = await start(t);
  writeFileSync(join(data.folder(), 'x'), 'abc');
  await until(async () => (await client.getDatasource({ name: 'docs' })).sync?.sizeBytes === 3n);
  const { datasources: listed } = await client.listDatasources({});
  assert.equal(listed.length, 1);
  assert.deepEqual(
    [listed[0]?.name, listed[0]?.folder, listed[0]?.objectsService, listed[0]?.bucketFolder, listed[0]?.sync?.state],
    ['docs', data.folder(), 'cellar.grpc.data.objects.local1', 'docs', SyncStatus_State.WATCHING],
  );
  await assert.rejects(client.getDatasource({ name: 'none' }), { reason: 'datasource_missing' });
});

test('only the server of a remote datasource can be given a token', async (t) => {
  const { client } = await start(t);
  await assert.rejects(client.createDatasourceNotificationToken({ name: 'docs' }), { reason: 'not_remote' });
  await assert.rejects(client.createDatasourceNotificationToken({ name: 'none' }), { reason: 'datasource_missing' });
  await client.deleteDatasourceNotificationToken({ name: 'docs' });
});

test('a datasource whose sync is away is listed without its state', async (t) => {
  const { client, registry } = await start(t);
  const own = registry.get('cellar.grpc.data.sync.docs');
  assert.ok(own);
  registry.set({ ...own, state: ServiceState.Backoff });
  const found = await client.getDatasource({ name: 'docs' });
  assert.equal(found.sync, undefined);
});

test('adding checks the folder, stores it, and waits for the services', async (t) => {
  const { data, stored, onSet, client, registry } = await start(t);
  const folder = join(data.parent, 'new');
  const add = (name: string, at: string) => client.createDatasource({ datasource: { name, folder: at } });
  await assert.rejects(add('new', folder), { reason: 'folder_missing' });
  await assert.rejects(add('new', 'relative'), { reason: 'folder_relative' });
  await assert.rejects(add('Bad_Name', data.parent), { reason: 'invalid_request' });
  await assert.rejects(add('docs', data.parent), { code: 'already_exists' });
  await assert.rejects(add('again', data.folder()), { reason: 'folder_overlaps' });
  await assert.rejects(add('around', data.parent), { reason: 'folder_overlaps' });
  assert.equal(stored.size, 0);
  mkdirSync(folder);
  onSet.call = () => {
    for (const kind of ['index', 'sync', 'objects']) {
      const service = `cellar.grpc.data.${kind}`;
      const old = registry.get(kind === 'objects' ? `${service}.local1` : `${service}.docs`);
      assert.ok(old);
      const plan =
        kind === 'objects'
          ? {
              parent: data.parent,
              buckets: [
                { bucket: 'docs', folder: 'docs' },
                { bucket: 'new', folder: 'new' },
              ],
            }
          : { datasource: 'new', folder, objectsService: 'cellar.grpc.data.objects.local1' };
      registry.set({ ...old, service: kind === 'objects' ? `${service}.local1` : `${service}.new`, plan });
    }
  };
  const made = await add('new', folder);
  assert.deepEqual([made.name, made.folder], ['new', folder]);
  assert.deepEqual([...stored], [['datasources.new.folder', JSON.stringify(folder)]]);
  onSet.call = () => registry.remove('cellar.grpc.data.index.new');
  await client.deleteDatasource({ name: 'new' });
  assert.equal(stored.size, 0);
  await assert.rejects(client.deleteDatasource({ name: 'new' }), { reason: 'datasource_missing' });
});

test('a remote bucket is added when it answers to the keys given', async (t) => {
  const { stored, onSet, client } = await start(t);
  const there = await startTestS3(t);
  const remote = { endpoint: `${there.endpoint}/`, bucket: 'photos', prefix: '2026', accessKey: 'AKTEST' };
  const add = (more: object) =>
    client.createDatasource({ datasource: { name: 'away', kind: Datasource_Kind.REMOTE, remote: { ...remote, ...more } } });
  await assert.rejects(add({}), { reason: 'secret_missing' });
  await assert.rejects(add({ secretKey: 'wrong' }), { reason: 'remote_credentials', code: 'failed_precondition' });
  await assert.rejects(add({ secretKey: 'secret+/=', bucket: 'none' }), { reason: 'remote_bucket_missing' });
  await assert.rejects(add({ secretKeyFile: '/none' }), { reason: 'secret_missing' });
  assert.equal(stored.size, 0);
  // Nobody starts its services here: waiting for them is given up once all is stored.
  const asked = new AbortController();
  onSet.call = (key) => {
    if (key === 'datasources.away.endpoint') asked.abort();
  };
  const datasource = { name: 'away', kind: Datasource_Kind.REMOTE, remote: { ...remote, secretKey: 'secret+/=' } };
  await client.createDatasource({ datasource }, { signal: asked.signal }).catch(() => undefined);
  assert.equal(stored.size, 7);
  assert.deepEqual([...stored.keys()].at(-1), 'datasources.away.endpoint');
  assert.equal(stored.get('datasources.away.prefix'), '"2026/"');
});

test('a resync tells its progress', async (t) => {
  const { data, client } = await start(t);
  writeFileSync(join(data.folder(), 'x'), 'abc');
  const last = (await Array.fromAsync(client.resyncDatasource({ name: 'docs' }))).at(-1);
  assert.deepEqual([last?.done, last?.seen], [true, 1n]);
});

test('a folder is stored without links on its way', async (t) => {
  const parent = temporaryParent(t, ['real']);
  symlinkSync('real', join(parent, 'link'));
  assert.equal(await checkFolder('aaa', join(parent, 'link'), {}, parent), join(parent, 'real'));
  await assert.rejects(checkFolder('aaa', join(parent, 'link'), { bbb: { folder: join(parent, 'real') } }, parent), {
    reason: 'folder_overlaps',
  });
  writeFileSync(join(parent, 'file'), '');
  await assert.rejects(checkFolder('aaa', join(parent, 'file'), {}, parent), { reason: 'not_a_folder' });
});

test('datasources that the caller may not read are not told', async (t) => {
  const { client } = await start(t, () => false);
  assert.deepEqual((await client.listDatasources({})).datasources, []);
  for (const name of ['docs', 'none']) await assert.rejects(client.getDatasource({ name }), { code: 'permission_denied' });
});

test('the home of Cellar is not served, nor what is around it or its own in it', async (t) => {
  const parent = temporaryParent(t, ['home', 'home/db', 'home/files']);
  const home = join(parent, 'home');
  for (const folder of [home, parent, join(home, 'db')])
    await assert.rejects(checkFolder('aaa', folder, {}, home), { reason: 'folder_overlaps' });
  assert.equal(await checkFolder('aaa', join(home, 'files'), {}, home), join(home, 'files'));
});

test('a folder that may not be read is refused', {
  skip: process.getuid?.() === 0 ? false : 'needs root to become another user',
}, async (t) => {
  const parent = temporaryParent(t, ['closed']);
  chmodSync(parent, 0o755);
  chmodSync(join(parent, 'closed'), 0o700);
  // Of `access` the real user counts, so another process has to ask.
  const script = `import { checkFolder } from '#data/datasources/logic/check-folder.ts';
    checkFolder('aaa', ${JSON.stringify(join(parent, 'closed'))}, {}, ${JSON.stringify(parent)}).then(() => console.log('served'), ({ reason }) => console.log(reason));`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module-typescript', '--eval', script], {
    uid: 65_534,
    gid: 65_534,
    encoding: 'utf8',
    env: {},
  });
  assert.equal(stdout.trim(), 'folder_unreadable', stderr);
});
