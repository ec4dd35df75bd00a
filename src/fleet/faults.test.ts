import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { disksMissing, mountDisk } from '#acceptance/disk.ts';
import { type Cluster, Cluster_Health, Cluster_State } from '#gen/cellar/fleet/v1/clusters_pb.ts';
import type { FleetEvent } from '#gen/cellar/fleet/v1/common_pb.ts';
import { AgentType, HostStatus_State } from '#gen/cellar/fleet/v1/hosts_pb.ts';
import { Operation_State } from '#gen/cellar/fleet/v1/operations_pb.ts';
import { Code, Fault } from '#kernel/fault.ts';
import { freePort, until } from '#kernel/testing/engines.ts';
import { fleetAgent } from './agents/main.ts';
import { createServer as createAgent } from './agents/server.ts';
import { type FleetPlatform, operator, startFleet, userNamed } from './testing/fleet-platform.ts';

/* What goes wrong with real local processes ends in a state that is true, names the cause and can be left. */

const patienceMs = 120_000;
const noBusybox = spawnSync('busybox', ['true']).error
  ? needs('busybox is not on the PATH; enable with: apt-get install busybox-static')
  : false;

function needs(reason: string): string {
  if (process.env['CI']) throw new Error(reason);
  return reason;
}

const blueprintOf = (name: string, program: string, command: string): string => `
blueprint: 1
name: ${name}
description: One member.
agents: [process]
members:
  - role: node
    programs: [${program}]
    command: ${command}
    ports: { web: { port: 8080, public: true } }
    stop: { signal: SIGTERM, timeoutMs: 2000 }
    ready: [{ tcp: { port: web } }]
health:
  - { name: Silent, role: node, ask: { tcp: { port: web } }, message: It does not answer }
endpoints:
  web: "http://{{ members[0].public.web }}"
`;
const web = blueprintOf('web', 'busybox', '[busybox, httpd, -f, -p, "{{ member.listen.web }}"]');
const lost = blueprintOf('lost', 'no-such-program', '[no-such-program]');
const loop = blueprintOf('loop', 'busybox', `[busybox, sh, -c, 'echo begins; echo the key is not readable >&2; exit 7']`);

/** A host of local processes, and how it is looked at. */
async function ground(fleet: FleetPlatform, capacity = 4) {
  const { hosts, clusters, blueprints, operations } = fleet.as(operator);
  const first = await freePort();
  const spec = { type: AgentType.PROCESS, capacity, portFirst: first, portLast: Math.min(first + 20, 65_535) };
  await hosts.createHost({ host: { name: 'here', spec } });
  for (const [name, text] of Object.entries({ web, lost, loop })) await blueprints.putBlueprint({ name, text });
  const get = (name: string): Promise<Cluster> => clusters.getCluster({ name });
  const condition = async (name: string, wanted: string) =>
    (await get(name)).conditions.find(({ type }) => type === wanted) ?? { reason: '', message: '' };
  return {
    ...{ fleet, hosts, clusters, portFirst: first, get, condition },
    isWell: async (name: string): Promise<boolean> => {
      const { state, health } = await get(name);
      return state === Cluster_State.READY && health === Cluster_Health.OK;
    },
    events: async (cluster: string): Promise<readonly FleetEvent[]> => Array.fromAsync(operations.listEvents({ cluster })),
    /** It is left: deleted, and nothing of it is there any more. */
    async leave(name: string): Promise<void> {
      await fleet.done(await clusters.deleteCluster({ name, force: true }));
      const { status } = await hosts.getHost({ name: 'here' });
      assert.equal(status?.state, HostStatus_State.ACTIVE);
      const folder = membersOf(fleet);
      assert.deepEqual(existsSync(folder) ? readdirSync(folder).filter((one) => one.startsWith(`${name}.`)) : [], []);
    },
  };
}

const agentFolder = (home: string): string => join(home, 'services', fleetAgent.name);
const membersOf = ({ platform }: FleetPlatform): string => join(agentFolder(platform.home), 'process', 'here');

describe('local processes that cannot be', { skip: process.platform === 'linux' ? noBusybox : 'Linux only' }, () => {
  test('a program that is not there: the building fails with its name, and the cluster can be left', async (t) => {
    const { fleet, hosts, clusters, condition, events, leave } = await ground(await startFleet(t), 1);
    const filling = await hosts.fillupHost({ name: 'here', template: { blueprint: 'lost' } });
    await assert.rejects(fleet.done(filling), /None of these programs is installed: no-such-program/);
    const [one] = (await clusters.listClusters({})).clusters;
    assert.ok(one);
    assert.equal((await condition(one.name, 'Built')).reason, 'program_missing');
    assert.equal(one.incarnation, 1, 'what was never begun is not rebuilt');
    assert.equal((await events(one.name)).filter(({ reason }) => reason === 'EngineRefused').length, 1, 'told once');
    await leave(one.name);
  });

  test('a member that ends at once: it is tried again, more and more seldom, and its last words are told', async (t) => {
    const { clusters, events, leave } = await ground(await startFleet(t));
    await clusters.createCluster({ name: 'one', host: 'here', blueprint: 'loop' });
    const failures = async () =>
      (await events('one')).filter(({ reason }) => reason === 'ClusterFailed' || reason === 'ClusterRecycling');
    await until(async () => (await events('one')).filter(({ reason }) => reason === 'ClusterRenewed').length >= 2, patienceMs);
    for (const { message } of await failures()) assert.match(message, /ended with code 7: the key is not readable/);
    await leave('one');
  });

  test('a port that somebody else has: another one is taken; later the clash is told, and heals when the port is free', async (t) => {
    const { portFirst, clusters, get, isWell, condition, leave, fleet } = await ground(await startFleet(t));
    const stranger = createServer().listen(portFirst, '127.0.0.1');
    t.after(() => stranger.close());
    await once(stranger, 'listening');
    await clusters.createCluster({ name: 'one', host: 'here', blueprint: 'web' });
    await until(() => isWell('one'), patienceMs);
    const { port } = new URL((await get('one')).endpoints['web'] ?? '');
    assert.notEqual(Number(port), portFirst);
    const { engine } = fleet.as(userNamed('ann'));
    const claim = await engine.apply({ blueprint: 'web' });
    await fleet.done(await clusters.stopCluster({ name: 'one' }));
    const clash = createServer().listen(Number(port), '127.0.0.1');
    t.after(() => clash.close());
    await once(clash, 'listening');
    await clusters.startCluster({ name: 'one' });
    await until(async () => /[Aa]ddress (already )?in use/.test((await condition('one', 'Healthy')).message), patienceMs);
    assert.notEqual((await get('one')).health, Cluster_Health.OK, 'who answers there is a stranger');
    clash.close();
    await until(() => isWell('one'), patienceMs);
    assert.deepEqual([(await get('one')).incarnation, (await get('one')).claim], [1, claim.id]);
    await leave('one');
  });

  test('a full disk: it is told, and what was begun is finished when there is room', { skip: disksMissing() }, async (t) => {
    const home = mkdtempSync(join(tmpdir(), 'cellar-full-'));
    const disk = mountDisk(1);
    mkdirSync(agentFolder(home), { recursive: true });
    assert.equal(spawnSync('mount', ['--bind', disk.path, agentFolder(home)]).status, 0);
    const fleet = await startFleet(t, { home });
    // After those of the fleet, which removes what is there.
    t.after(() => {
      spawnSync('umount', ['--lazy', agentFolder(home)]);
      disk[Symbol.dispose]();
      rmSync(home, { recursive: true, force: true });
    });
    const { clusters, isWell, condition, leave, get } = await ground(fleet);
    await clusters.createCluster({ name: 'first', host: 'here', blueprint: 'web' });
    await until(() => isWell('first'), patienceMs);
    disk.fill();
    await clusters.createCluster({ name: 'second', host: 'here', blueprint: 'web' });
    await until(async () => (await condition('second', 'Built')).reason === 'disk_full', patienceMs);
    assert.ok(await isWell('first'), 'what runs goes on');
    await clusters.createCluster({ name: 'third', host: 'here', blueprint: 'web' });
    await until(async () => (await condition('third', 'Built')).reason === 'disk_full', patienceMs);
    await leave('third');
    disk.free();
    await until(() => isWell('second'), patienceMs);
    assert.equal((await get('second')).incarnation, 1);
    for (const name of ['first', 'second']) await leave(name);
    assert.deepEqual(readdirSync(join(disk.path, 'process', 'here')), []);
  });
});

describe('two operators at once', () => {
  const withReasons = (asked: readonly PromiseSettledResult<unknown>[]): readonly string[] =>
    asked.map((one) => (one.status === 'fulfilled' ? 'done' : Fault.from(one.reason).reason)).toSorted();

  test('both delete, both reset, one deletes what the other resets, both close a host', async (t) => {
    const fleet = await startFleet(t);
    const { hosts, clusters } = fleet.as(operator);
    const templates = [{ blueprint: 'evm-dev', parameters: {} }];
    await hosts.createHost({ host: { name: 'sim', spec: { type: AgentType.SIMULATED, capacity: 4, templates } } });
    await fleet.done(await hosts.fillupHost({ name: 'sim' }));
    const [a, b, c] = (await clusters.listClusters({})).clusters;
    assert.ok(a && b && c);
    const both = (one: Promise<unknown>, other: Promise<unknown>) => Promise.allSettled([one, other]);
    assert.deepEqual(
      withReasons(await both(clusters.deleteCluster({ name: a.name }), clusters.deleteCluster({ name: a.name }))),
      ['done', 'done'],
    );
    assert.deepEqual(withReasons(await both(clusters.resetCluster({ name: b.name }), clusters.resetCluster({ name: b.name }))), [
      'done',
      'done',
    ]);
    const { version } = c;
    const versions = await both(
      clusters.resetCluster({ name: c.name, version }),
      clusters.deleteCluster({ name: c.name, version }),
    );
    assert.deepEqual(withReasons(versions), ['done', 'version_differs']);
    const closing = await both(hosts.cleanHost({ name: 'sim' }), hosts.resetHost({ name: 'sim' }));
    assert.deepEqual(withReasons(closing), ['done', 'host_busy']);
    await until(async () => {
      const { operations } = await fleet.as(operator).operations.listOperations({ state: Operation_State.RUNNING });
      return operations.length === 0;
    }, patienceMs);
    const host = await hosts.getHost({ name: 'sim' });
    assert.deepEqual([host.status?.state, host.spec?.cordoned], [HostStatus_State.ACTIVE, false]);
    await fleet.done(await hosts.fillupHost({ name: 'sim' }));
    assert.equal((await hosts.getHost({ name: 'sim' })).status?.free, 4);
  });
});

describe('an agent of an older version', () => {
  /** Answers as a service does that has never heard of these methods. */
  const older = (...unknown: readonly string[]): typeof fleetAgent => ({
    ...fleetAgent,
    async start(micro) {
      const agent = createAgent(micro as Parameters<typeof createAgent>[0]);
      const shortOf = (method: string): string => method.slice(method.lastIndexOf('/') + 1);
      const refuse = (method: string) => () => {
        throw new Fault(Code.Unimplemented, `There is no method "${method}" here`, { reason: 'method_missing' });
      };
      const bindings = agent.bindings?.map(({ contract, handlers }) => ({
        contract,
        handlers: new Map(
          [...handlers].map(([name, handler]) => [name, unknown.includes(shortOf(name)) ? refuse(shortOf(name)) : handler]),
        ),
      }));
      return { ...agent, ...(bindings ? { bindings } : {}) };
    },
  });

  test('it goes on without what the agent does not know', async (t) => {
    const agent = older('WatchEngine', 'ProbePorts', 'WatchStats', 'ReadLogs', 'Exec', 'SaveVolume', 'LoadVolume');
    const fleet = await startFleet(t, { agent });
    const { hosts, clusters } = fleet.as(operator);
    const templates = [{ blueprint: 'evm-dev', parameters: {} }];
    await hosts.createHost({ host: { name: 'sim', spec: { type: AgentType.SIMULATED, capacity: 2, templates } } });
    await fleet.done(await hosts.fillupHost({ name: 'sim' }));
    const [one] = (await clusters.listClusters({})).clusters;
    assert.ok(one);
    const isUnknown = (error: unknown) => Fault.from(error).code === Code.Unimplemented;
    await assert.rejects(clusters.execInCluster({ name: one.name, member: 'node', command: ['true'] }), isUnknown);
    await assert.rejects(Array.fromAsync(clusters.readClusterLogs({ name: one.name })), isUnknown);
    await fleet.done(await clusters.resetCluster({ name: one.name }));
  });

  test('what it cannot do without is told', async (t) => {
    const fleet = await startFleet(t, { agent: older('CheckMembers') });
    const { hosts, clusters } = fleet.as(operator);
    await hosts.createHost({ host: { name: 'sim', spec: { type: AgentType.SIMULATED, capacity: 2 } } });
    await clusters.createCluster({ name: 'one', host: 'sim', blueprint: 'evm-dev' });
    const why = async (): Promise<string> => {
      const { conditions } = await clusters.getCluster({ name: 'one' });
      return conditions.find(({ type }) => type === 'Healthy')?.message ?? '';
    };
    await until(async () => /cannot ask its members: There is no method "CheckMembers" here/.test(await why()), patienceMs);
    await fleet.done(await clusters.deleteCluster({ name: 'one' }));
  });
});
