import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import { createGunzip } from 'node:zlib';
import { extract } from 'tar-stream';
import { sqliteFactory } from '#kernel/testing/databases.ts';
import { createSimulatedDriver } from '../../agents/simulated/driver.ts';
import { planMembers } from '../../blueprints/logic/plan-members.ts';
import { blueprintOfText, createSimulation } from '../testing/simulation.ts';
import { type DumpParts, dumpCluster } from './dump-cluster.ts';

const single = blueprintOfText(`
blueprint: 1
name: single
description: One member.
agents: [simulated]
members: [{ role: node, command: [node] }]
`);
const never = AbortSignal.any([]);

test('of a host that does not answer there is all that is kept, and why the rest is missing', async (t) => {
  const simulation = await createSimulation(await sqliteFactory.open(t), 1, [single]);
  const { database, store, clock, world, random } = simulation;
  const now = (): number => clock.nowMs;
  await simulation.addHost('h');
  await simulation.addCluster('h', 'c', 'single');
  const watchdog = simulation.newWatchdog();
  for (let pass = 0; pass < 4; pass++) {
    clock.nowMs += 5000;
    await watchdog.pass(never);
  }
  const cluster = await store.cluster('c');
  assert.ok(cluster?.state === 'ready');
  const unused = (): never => {
    throw new Error('This is not asked here');
  };
  const parts: DumpParts = {
    ...{ database, store, now, fleet: 'f', version: '1', append: async () => undefined, look: () => undefined },
    ...{ newId: unused, newSecret: unused, driverFor: unused, blueprint: unused },
    driverOf: async (host) => createSimulatedDriver({ host: world.host(host), address: host, now, random }),
    planOf: async ({ name, incarnation, parameters, secrets, ports }) =>
      planMembers(single, { cluster: name, incarnation, parameters, secrets, ports, agent: 'simulated', publicHost: 'h' }),
    async *eventsOf() {
      yield* [];
    },
  };
  const dump = async (): Promise<ReadonlyMap<string, string>> => {
    const entries = extract();
    Readable.from(dumpCluster(parts, cluster, true, never))
      .pipe(createGunzip())
      .pipe(entries);
    const files = new Map<string, string>();
    for await (const entry of entries)
      files.set(entry.header.name, (await buffer(entry as AsyncIterable<Uint8Array> as Readable)).toString());
    return files;
  };
  const missingIn = (files: ReadonlyMap<string, string>) =>
    (JSON.parse(files.get('c/dump.json') ?? '') as { missing: readonly { file: string; why: string }[] }).missing;
  assert.deepEqual(missingIn(await dump()), []);

  world.host('h').troubles.isAway = true;
  const files = await dump();
  assert.ok(files.has('c/cluster.json') && files.has('c/host.json') && files.has('c/plan.json'));
  assert.deepEqual(
    missingIn(files).map(({ file }) => file),
    ['sighting.json', 'stats.json', 'logs/node.log'],
  );
  for (const { why } of missingIn(files)) assert.match(why, /does not answer/);

  const leaving = new AbortController();
  for await (const piece of dumpCluster(parts, cluster, true, leaving.signal)) {
    assert.ok(piece.length > 0);
    leaving.abort();
    break;
  }
});
