import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Database } from '../database/database.ts';
import { openDatabase } from '../database/open.ts';
import { silentLog } from '../log.ts';
import { type Registration, Registry, ServiceState } from '../services/registry.ts';
import { postgresMissing, startPostgres, type TestPostgres, temporaryFolder, until } from '../testing/engines.ts';
import { type SharedRegistry, shareRegistry } from './shared-registry.ts';

const skip = await postgresMissing();
let postgres: TestPostgres;

before(async () => {
  if (!skip) postgres = await startPostgres();
});
after(async () => {
  await postgres?.[Symbol.asyncDispose]();
});

interface Machine extends AsyncDisposable {
  readonly registry: Registry;
  run(service: string, state?: ServiceState): void;
  /** As when it loses power: it says nothing more. */
  silence(): Promise<void>;
  state(service: string): string | undefined;
}

async function joinAs(machine: string, url: string): Promise<Machine> {
  const database: Database = openDatabase({ url, name: 'cellar.registry', log: silentLog });
  const registry = new Registry();
  const shared: SharedRegistry = await shareRegistry({
    database,
    machine,
    registry,
    local: () => registry.all.filter((one) => one.machine === machine),
    log: silentLog,
    everyMs: 100,
    awayMs: 1000,
  });
  let isSilent = false;
  return {
    registry,
    run: (service, state = ServiceState.Ready) => registry.set(registration(service, machine, state)),
    state: (service) => registry.get(service)?.state,
    silence: async () => {
      isSilent = true;
      await database.close();
    },
    [Symbol.asyncDispose]: async () => {
      await shared.close();
      if (!isSilent) await database.close();
    },
  };
}

function registration(service: string, machine: string, state: ServiceState): Registration {
  return {
    service,
    contracts: [`contract.${service}`],
    plan: { folder: '/x' },
    address: { kind: 'grpc', host: machine, port: 7070 },
    http: undefined,
    state,
    reason: '',
    machine,
    pid: 1,
    restarts: 0,
    startTimeMs: 0,
  };
}

test('each machine learns what the others run, how it changes, and when they leave', { skip }, async () => {
  const url = await postgres.createDatabase();
  await using one = await joinAs('one', url);
  one.run('a');
  {
    await using two = await joinAs('two', url);
    two.run('b');
    await until(() => one.state('b') === 'ready' && two.state('a') === 'ready');
    assert.deepEqual({ http: undefined, ...two.registry.get('a') }, registration('a', 'one', ServiceState.Ready));
    two.run('b', ServiceState.Unhealthy);
    await until(() => one.state('b') === 'unhealthy');
    two.registry.remove('b');
    await until(() => one.state('b') === undefined);
    two.run('c');
    await until(() => one.state('c') === 'ready');
  }
  await until(() => one.state('c') === undefined);
});

test('the services of a silent machine are stopped here; another machine may take them over', { skip }, async () => {
  const url = await postgres.createDatabase();
  await using one = await joinAs('one', url);
  await using two = await joinAs('two', url);
  two.run('b');
  await until(() => one.state('b') === 'ready');
  await two.silence();
  await until(() => one.state('b') === 'stopped');
  assert.match(one.registry.get('b')?.reason ?? '', /machine two has not been heard of/);
  await using three = await joinAs('three', url);
  three.run('b');
  await until(() => one.state('b') === 'ready');
  assert.equal(one.registry.get('b')?.machine, 'three');
});

test('what a machine runs itself wins over what another says', { skip }, async () => {
  const url = await postgres.createDatabase();
  await using one = await joinAs('one', url);
  await using two = await joinAs('two', url);
  one.run('same');
  two.run('same');
  two.run('mark');
  await until(() => one.state('mark') === 'ready');
  assert.equal(one.registry.get('same')?.machine, 'one');
  assert.equal(two.registry.get('same')?.machine, 'two');
});

test('while the engine is away what was known holds, and it goes on by itself', { skip }, async () => {
  const url = await postgres.createDatabase();
  await using one = await joinAs('one', url);
  await using two = await joinAs('two', url);
  two.run('b');
  await until(() => one.state('b') === 'ready');
  await postgres.kill();
  two.run('late');
  assert.equal(one.state('b'), 'ready');
  await postgres.restart();
  await until(() => one.state('late') === 'ready', 20_000);
});

test('an SQLite file is refused: others could not reach it', async () => {
  using folder = temporaryFolder();
  await assert.rejects(joinAs('one', `sqlite:${folder.path}/`), /SQLite file, which they cannot reach/);
});
