import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { disksMissing, mountDisk } from '#acceptance/disk.ts';
import { type Cluster, Cluster_Health } from '#gen/cellar/fleet/v1/clusters_pb.ts';
import { AgentType, HostStatus_State } from '#gen/cellar/fleet/v1/hosts_pb.ts';
import { Fault } from '#kernel/fault.ts';
import { until } from '#kernel/testing/engines.ts';
import { dockerMissing, startDocker, type TestDocker } from './agents/testing/docker-engines.ts';
import { fabricMissing } from './agents/testing/fabric-release.ts';
import { registryMissing, startRegistry } from './agents/testing/registry.ts';
import { imageMissing, importImage, type TestImage } from './agents/testing/test-images.ts';
import { type ChainGround, etcdScenario, fabricScenario, litecoinScenario, natsScenario } from './testing/chain-scenarios.ts';
import { containerGround } from './testing/container-ground.ts';
import { operator, startFleet, userNamed } from './testing/fleet-platform.ts';
import { poolScenario } from './testing/pool-scenario.ts';

const skip = dockerMissing() ?? imageMissing('litecoin', 'etcd', 'nats', 'anvil', 'busybox') ?? registryMissing();
const patienceMs = 60_000;
let engine: TestDocker | undefined;
before(async () => {
  if (!skip) engine = await startDocker();
});
after(async () => await engine?.[Symbol.asyncDispose]());

async function ground(t: TestContext, name: TestImage, portFirst: number): Promise<ChainGround> {
  if (!engine) throw new Error('There is no engine');
  const { address, docker } = engine;
  const image = await importImage(docker, name);
  return await containerGround(t, { type: AgentType.DOCKER, address, engines: [docker], image, portFirst });
}

/** This machine's address in the network of a cluster. */
async function outsideOf({ name }: Cluster): Promise<string> {
  const networks = await engine?.docker.listNetworks({ filters: { label: [`cellar.cluster=${name}`] } });
  const gateway = networks?.[0]?.IPAM?.Config?.[0]?.Gateway;
  if (gateway === undefined) throw new Error(`Cluster "${name}" has no network`);
  return gateway;
}

// At the same time, since they mostly wait.
describe('clusters of containers', { skip: skip ?? false, concurrency: true }, () => {
  test('litecoin', async (t) => litecoinScenario(await ground(t, 'litecoin', 23_300)));
  test('etcd', async (t) => etcdScenario(await ground(t, 'etcd', 23_400)));
  test('a pool, whose image comes from a registry', async (t) => {
    if (!engine) throw new Error('There is no engine');
    await using registry = await startRegistry();
    const image = await registry.push(engine.docker, await importImage(engine.docker, 'anvil'));
    const fleet = await startFleet(t);
    await poolScenario({ fleet, type: AgentType.DOCKER, address: engine.address, parameters: { image }, portFirst: 23_600 });
  });
  test('NATS', async (t) => natsScenario(await ground(t, 'nats', 23_500)));
  test('Hyperledger Fabric', { skip: fabricMissing() ?? false }, async (t) => {
    await fabricScenario(await ground(t, 'fabric', 23_800), outsideOf);
  });
});

test('an engine is killed and comes back: what was not known is told so, and what is used is not destroyed', {
  skip: skip ?? false,
}, async (t) => {
  await using own = await startDocker();
  const image = await importImage(own.docker, 'anvil');
  const fleet = await startFleet(t);
  const { hosts } = fleet.as(operator);
  const { engine: claims, clusters } = fleet.as(userNamed('ann'));
  const templates = [{ blueprint: 'evm-dev', parameters: { image } }];
  const spec = { type: AgentType.DOCKER, address: own.address, capacity: 2, templates, portFirst: 23_700, portLast: 23_799 };
  await hosts.createHost({ host: { name: 'dock', spec } });
  await fleet.done(await hosts.fillupHost({ name: 'dock' }));
  const { cluster, id } = await claims.apply({ blueprint: 'evm-dev' });
  assert.ok(cluster);
  const stateOfHost = async () => (await hosts.getHost({ name: 'dock' })).status?.state;
  const used = () => clusters.getCluster({ name: cluster.name });

  await own.kill();
  await until(async () => (await stateOfHost()) === HostStatus_State.UNREACHABLE, patienceMs);
  assert.notEqual((await used()).health, Cluster_Health.FAILED, 'what cannot be asked is not sick');
  await own.restart();
  await until(async () => (await stateOfHost()) === HostStatus_State.ACTIVE, patienceMs);
  // An engine that comes back ends what ran without it.
  await until(async () => (await used()).health === Cluster_Health.OK, patienceMs);
  const { incarnation, owner } = await used();
  assert.deepEqual([incarnation, owner], [1, 'ann']);
  await claims.release({ id });
  await fleet.done(await hosts.deleteHost({ name: 'dock', force: true }));
  const { Volumes } = await own.docker.listVolumes();
  assert.deepEqual([await own.docker.listContainers({ all: true }), Volumes ?? []], [[], []]);
});

test('an engine whose disk is full says so; what was begun is finished when there is room', {
  skip: skip ?? disksMissing(),
}, async (t) => {
  const disk = mountDisk(64);
  const own = await startDocker({ more: ['--data-root', disk.path] });
  const image = await importImage(own.docker, 'busybox');
  const fleet = await startFleet(t);
  t.after(async () => {
    disk.free();
    await own[Symbol.asyncDispose]();
    disk[Symbol.dispose]();
  });
  const { hosts, clusters, blueprints } = fleet.as(operator);
  await blueprints.putBlueprint({ name: 'web', text: webOf(image) });
  const spec = { type: AgentType.DOCKER, address: own.address, capacity: 3, portFirst: 24_600, portLast: 24_699 };
  await hosts.createHost({ host: { name: 'dock', spec } });
  const get = (name: string) => clusters.getCluster({ name });
  const isWell = async (name: string) => (await get(name)).health === Cluster_Health.OK;
  const isFull = async (name: string) => (await get(name)).conditions.some(({ reason }) => reason === 'disk_full');
  await clusters.createCluster({ name: 'first', host: 'dock', blueprint: 'web' });
  await until(() => isWell('first'), patienceMs);
  disk.fill();
  for (const name of ['second', 'third']) await clusters.createCluster({ name, host: 'dock', blueprint: 'web' });
  for (const name of ['second', 'third']) await until(() => isFull(name), patienceMs);
  assert.ok(await isWell('first'), 'what runs goes on');
  await fleet.done(await clusters.deleteCluster({ name: 'third' }));
  disk.free();
  await until(() => isWell('second'), patienceMs);
  await fleet.done(await hosts.deleteHost({ name: 'dock', force: true }));
  const { Volumes } = await own.docker.listVolumes();
  assert.deepEqual([await own.docker.listContainers({ all: true }), Volumes ?? []], [[], []]);
});

test('an engine that begins to lie: nothing it says is believed, and all is as it was when it speaks the truth again', {
  skip: skip ?? false,
}, async (t) => {
  await using own = await startDocker();
  const image = await importImage(own.docker, 'busybox');
  const fleet = await startFleet(t);
  let lie: { readonly status: number; readonly body: string; readonly isCut?: boolean } | undefined;
  const server = createServer((asked, answer) => {
    if (lie) {
      answer.writeHead(lie.status, { 'content-type': 'application/json', ...(lie.isCut ? { 'content-length': 1000 } : {}) });
      answer.write(lie.body);
      return lie.isCut ? answer.destroy() : answer.end();
    }
    const { method, url, headers } = asked;
    const socketPath = own.address.slice('unix://'.length);
    const onward = request({ socketPath, method, path: url, headers }, (said) => {
      answer.writeHead(said.statusCode ?? 500, said.headers);
      said.pipe(answer);
    });
    onward.on('error', () => answer.destroy());
    return asked.pipe(onward);
  });
  const folder = mkdtempSync(join(tmpdir(), 'cellar-liar-'));
  server.listen(join(folder, 'liar.sock'));
  await once(server, 'listening');
  t.after(() => {
    lie = undefined;
    server.closeAllConnections();
    server.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const { hosts, clusters, blueprints, operations } = fleet.as(operator);
  await blueprints.putBlueprint({ name: 'web', text: webOf(image) });
  const address = `unix://${folder}/liar.sock`;
  const spec = { type: AgentType.DOCKER, address, capacity: 3, portFirst: 24_700, portLast: 24_799 };
  await hosts.createHost({ host: { name: 'dock', spec } });
  await fleet.done(await hosts.fillupHost({ name: 'dock', template: { blueprint: 'web' } }));
  const { cluster } = await fleet.as(userNamed('ann')).engine.apply({ blueprint: 'web' });
  const ids = async () => (await own.docker.listContainers({})).map(({ Id }) => Id).toSorted();
  const before = await ids();
  const stateOfHost = async () => (await hosts.getHost({ name: 'dock' })).status;
  const lies: readonly NonNullable<typeof lie>[] = [
    { status: 200, body: '{"lie":true}' },
    { status: 200, body: '<html>Please log in</html>' },
    { status: 200, body: '[{}]' },
    { status: 404, body: '{"message":"page not found"}' },
    { status: 200, body: '[{"Id":"', isCut: true },
  ];
  for (const told of lies) {
    lie = told;
    await until(async () => (await stateOfHost())?.state === HostStatus_State.UNREACHABLE, patienceMs).catch((error) => {
      throw new Error(`${told.body} was believed`, { cause: error });
    });
    const why = (await stateOfHost())?.conditions[0];
    assert.ok(why?.reason && why.message && why.message !== 'Internal error', `${told.body}: ${why?.reason} ${why?.message}`);
    for (const { health } of (await clusters.listClusters({})).clusters) assert.equal(health, Cluster_Health.UNKNOWN, told.body);
    lie = undefined;
    await until(async () => (await stateOfHost())?.state === HostStatus_State.ACTIVE, patienceMs);
    await until(
      async () => (await clusters.listClusters({})).clusters.every(({ health }) => health === Cluster_Health.OK),
      patienceMs,
    );
  }
  assert.deepEqual(await ids(), before, 'nothing was touched');
  const held = await clusters.getCluster({ name: cluster?.name ?? '' });
  assert.deepEqual([held.incarnation, held.owner], [1, 'ann']);
  const removed = (await Array.fromAsync(operations.listEvents({}))).filter(({ reason }) => reason === 'MembersRemoving');
  assert.deepEqual(removed, []);
});

const webOf = (image: string): string => `
blueprint: 1
name: web
description: One web server.
agents: [docker]
members:
  - role: node
    image: ${image}
    command: [busybox, httpd, -f, -p, "8080"]
    ports: { web: { port: 8080, public: true } }
    volumes: { data: /data }
    files:
      /page.txt: { text: "hello" }
    stop: { timeoutMs: 1000 }
    ready: [{ tcp: { port: web } }]
health:
  - { name: Silent, role: node, ask: { tcp: { port: web } }, message: It does not answer }
endpoints:
  web: "http://{{ members[0].public.web }}"
`;

test('what is no Docker engine is refused with the reason, and nothing is kept', async (t) => {
  const fleet = await startFleet(t);
  const { hosts } = fleet.as(operator);
  const server = createServer((_, response) =>
    response.writeHead(200, { 'content-type': 'application/json' }).end('{"lie":true}'),
  );
  const folder = mkdtempSync(join(tmpdir(), 'cellar-liar-'));
  t.after(() => {
    server.close();
    rmSync(folder, { recursive: true, force: true });
  });
  server.listen(join(folder, 'liar.sock'));
  await once(server, 'listening');
  const cases: [address: string, reason: string][] = [
    [`unix://${folder}/liar.sock`, 'engine_unsuitable'],
    [`unix://${folder}/nobody.sock`, 'engine_unreachable'],
    ['tcp://127.0.0.1:1', 'credentials_missing'],
    ['somewhere', 'address_invalid'],
  ];
  for (const [address, reason] of cases) {
    const spec = { type: AgentType.DOCKER, address, capacity: 1, templates: [{ blueprint: 'evm-dev', parameters: {} }] };
    const adding = hosts.createHost({ host: { name: 'dock', spec } });
    await assert.rejects(adding, (error) => Fault.from(error).reason === reason);
  }
  assert.deepEqual((await hosts.listHosts({})).hosts, []);
});
