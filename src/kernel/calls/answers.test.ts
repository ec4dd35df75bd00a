import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Datasources } from '#gen/cellar/data/v1/datasources_pb.ts';
import { Role } from '#gen/cellar/kernel/v1/options_pb.ts';
import { invalidArgument } from '../fault.ts';
import { defineService } from '../services/service.ts';
import { startTestPlatform } from '../testing/platform.ts';
import type { Caller } from './caller.ts';
import { implement } from './dispatcher.ts';

const admin: Caller = { id: 'a', name: 'ann', roles: [Role.ADMIN], scopes: ['*'], via: '' };

/** A service that counts what it makes; `gate` holds its answers back. */
async function start(state: { made: string[]; gate?: Promise<void> }) {
  const no = (): never => {
    throw invalidArgument('not here');
  };
  const definition = defineService({
    name: 'cellar.grpc.counting',
    description: 'Counts what it makes.',
    contracts: [Datasources],
    settings: {},
    needs: [],
    placement: 'main',
    migrations: [],
    start: async () => ({
      bindings: [
        implement(Datasources, {
          createDatasource: async ({ datasource }) => {
            state.made.push(datasource?.name ?? '');
            await state.gate;
            return { name: `${datasource?.name}-${state.made.length}`, folder: '/x' };
          },
          getDatasource: no,
          listDatasources: no,
          deleteDatasource: no,
          resyncDatasource: no,
          pauseDatasource: no,
          resumeDatasource: no,
          checkDatasource: no,
          createDatasourceNotificationToken: no,
          deleteDatasourceNotificationToken: no,
          createDatasourceSnapshot: no,
          listDatasourceSnapshots: no,
          restoreDatasourceSnapshot: no,
          deleteDatasourceSnapshot: no,
        }),
      ],
    }),
  });
  const platform = await startTestPlatform([{ definition, instance: '', plan: undefined }]);
  return { platform, client: platform.client(Datasources, admin) };
}

const wanted = (name: string) => ({ datasource: { name, folder: '/srv/x' } });

test('a repeated write is answered, not done again', async () => {
  const state = { made: [] as string[] };
  const { platform, client } = await start(state);
  await using _ = platform;
  const first = await client.createDatasource(wanted('docs'), { idempotencyKey: 'k1' });
  const second = await client.createDatasource(wanted('docs'), { idempotencyKey: 'k1' });
  const other = await client.createDatasource(wanted('docs'), { idempotencyKey: 'k2' });
  assert.deepEqual([first.name, second.name, other.name], ['docs-1', 'docs-1', 'docs-2']);
  assert.equal(state.made.length, 2);
});

test('repetitions at the same time share one write', async () => {
  const gate = Promise.withResolvers<void>();
  const state = { made: [] as string[], gate: gate.promise };
  const { platform, client } = await start(state);
  await using _ = platform;
  const both = [
    client.createDatasource(wanted('docs'), { idempotencyKey: 'k' }),
    client.createDatasource(wanted('docs'), { idempotencyKey: 'k' }),
  ];
  gate.resolve();
  const names = (await Promise.all(both)).map((datasource) => datasource.name);
  assert.deepEqual(names, ['docs-1', 'docs-1']);
  assert.deepEqual(state.made, ['docs']);
});

test('a key used with another request is refused', async () => {
  const state = { made: [] as string[] };
  const { platform, client } = await start(state);
  await using _ = platform;
  await client.createDatasource(wanted('docs'), { idempotencyKey: 'k' });
  await assert.rejects(client.createDatasource(wanted('music'), { idempotencyKey: 'k' }), { reason: 'idempotency_key_reused' });
  assert.deepEqual(state.made, ['docs']);
});

test('another caller has keys of their own', async () => {
  const state = { made: [] as string[] };
  const { platform, client } = await start(state);
  await using _ = platform;
  await client.createDatasource(wanted('docs'), { idempotencyKey: 'k' });
  await client.createDatasource(wanted('docs'), { idempotencyKey: 'k', caller: { ...admin, id: 'b' } });
  assert.equal(state.made.length, 2);
});
