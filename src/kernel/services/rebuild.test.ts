import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Fault } from '../fault.ts';
import { temporaryFolder } from '../testing/engines.ts';
import { startTestPlatform } from '../testing/platform.ts';
import { defineService, type ServiceDefinition } from './service.ts';

/** A service that counts how often it was started, in its database. */
const counting = (isRebuildable: boolean, seen: number[]): ServiceDefinition =>
  defineService({
    name: 'cellar.grpc.counting',
    description: 'Counts.',
    contracts: [],
    settings: {},
    needs: [],
    placement: 'main',
    isRebuildable,
    migrations: [{ id: 1, name: 'begin', sql: 'create table starts (n integer)' }],
    start: async ({ database }) => {
      await database.run('insert into starts values (1)');
      seen.push((await database.all('select n from starts')).length);
      return { bindings: [] };
    },
  });

test('a damaged database is put aside where what it holds can be made anew, and named where it cannot', async () => {
  using folder = temporaryFolder();
  const file = join(folder.path, 'cellar.grpc.counting.db');
  const seen: number[] = [];
  const start = async (isRebuildable: boolean): Promise<void> => {
    const instances = [{ definition: counting(isRebuildable, seen), instance: '', plan: undefined }];
    await using _ = await startTestPlatform(instances, { databaseUrl: `sqlite:${folder.path}/` });
  };
  await start(true);
  await start(true);
  assert.deepEqual(seen, [1, 2]);
  const damaged = readFileSync(file).fill(0xab, 0, 5000);
  writeFileSync(file, damaged);
  await assert.rejects(start(false), (error) => error instanceof Fault && error.reason === 'database_corrupt');
  assert.ok(!existsSync(`${file}.damaged`));
  await start(true);
  assert.deepEqual(seen, [1, 2, 1]);
  assert.ok(readFileSync(`${file}.damaged`).equals(damaged));
});
