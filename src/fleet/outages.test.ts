import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { type Cluster, Cluster_Health, Cluster_State } from '#gen/cellar/fleet/v1/clusters_pb.ts';
import type { FleetEvent } from '#gen/cellar/fleet/v1/common_pb.ts';
import type { Claim } from '#gen/cellar/fleet/v1/engine_pb.ts';
import { AgentType, type Host, HostStatus_State } from '#gen/cellar/fleet/v1/hosts_pb.ts';
import { until } from '#kernel/testing/engines.ts';
import { dockerMissing, startDocker, type TestDocker } from './agents/testing/docker-engines.ts';
import { imageMissing, importImage } from './agents/testing/test-images.ts';
import { isFrozenNoMore } from './testing/container-ground.ts';
import { operator, startFleet, userNamed } from './testing/fleet-platform.ts';

/*
 * Four hosts on four real engines, each with a used cluster and a free one: half of the engines are killed at once, one is cut off, one is
 * restarted, and half of all clusters freeze. Used clusters are the same ones afterwards, down to the ids of their containers.
 */
const skip = dockerMissing() ?? imageMissing('anvil');
const patienceMs = 180_000;
const portFirst = 24_500;
const { ACTIVE, UNREACHABLE } = HostStatus_State;
let engines: readonly TestDocker[] = [];
let image = '';
before(async () => {
  if (skip) return;
  // The first one lets containers go on without it, the others end them when they are back.
  engines = await Promise.all([['--live-restore'], [], [], []].map((more) => startDocker({ more })));
  for (const { docker } of engines) image = await importImage(docker, 'anvil');
});
after(async () => {
  await Promise.all(engines.map((engine) => engine[Symbol.asyncDispose]()));
});

test('half of the hosts vanish, one is cut off, one is restarted, half of all freezes: what is used is never destroyed', {
  skip: skip ?? false,
  timeout: 600_000,
}, async (t) => {
  // So many may be repaired at once; then the guard asks for the share.
  const sickAtOnce = 1;
  const fleet = await startFleet(t, { settings: { sickAtOnce, claimsPerUser: 10 } });
  const { hosts, clusters } = fleet.as(operator);
  const { engine: claims } = fleet.as(userNamed('ann'));
  const templates = [{ blueprint: 'evm-dev', parameters: { image } }];
  const names = engines.map((_, at) => `dock-${at}`);
  const third = await startRelay(engines[2]?.address ?? '');
  t.after(() => third.cut());
  for (const [at, { address }] of engines.entries()) {
    const ports = { portFirst: portFirst + at * 10, portLast: portFirst + at * 10 + 9 };
    const spec = { type: AgentType.DOCKER, address: at === 2 ? third.address : address, capacity: 2, templates, ...ports };
    await hosts.createHost({ host: { name: `dock-${at}`, spec } });
  }
  await Promise.all(names.map(async (name) => fleet.done(await hosts.fillupHost({ name }))));
  const used: Claim[] = [];
  for (const host of names) used.push(await claims.apply({ blueprint: 'evm-dev', selectors: [{ host }], allowMultiple: true }));

  const hostsNow = async (): Promise<readonly Host[]> => (await hosts.listHosts({})).hosts;
  const all = async (): Promise<readonly Cluster[]> => (await clusters.listClusters({})).clusters;
  const events = async (): Promise<readonly FleetEvent[]> => Array.fromAsync(fleet.as(operator).operations.listEvents({}));
  const isUsed = ({ claim }: Cluster): boolean => claim !== '';
  /** Ids of the containers of all clusters, by their names and incarnations. */
  const containers = async (): Promise<ReadonlyMap<string, string>> => {
    const found = await Promise.all(engines.map(({ docker }) => docker.listContainers({ all: true })));
    return new Map(
      found.flat().map(({ Id, Labels }) => [`${Labels['cellar.cluster']}.${Labels['cellar.incarnation']}`, Id] as const),
    );
  };
  const areStates = (wanted: readonly HostStatus_State[]) => async () => {
    const seen = await hostsNow();
    return wanted.every((state, at) => seen[at]?.status?.state === state);
  };
  const isWhole = async (): Promise<boolean> => {
    const seen = await all();
    return seen.length === 8 && seen.every(({ state, health }) => state === Cluster_State.READY && health === Cluster_Health.OK);
  };
  const conditionOf = ({ conditions }: Cluster, wanted: string): string =>
    conditions.flatMap(({ type, reason }) => (type === wanted ? [reason] : []))[0] ?? '';
  /** Everything is well again, and no cluster was built anew but those named. */
  const assertKept = async (before: ReadonlyMap<string, string>, renewed: readonly string[] = []): Promise<void> => {
    await until(areStates([ACTIVE, ACTIVE, ACTIVE, ACTIVE]), patienceMs);
    await until(isWhole, patienceMs);
    const now = await containers();
    assert.equal(now.size, before.size);
    for (const [name, id] of before)
      if (!renewed.some((one) => name.startsWith(`${one}.`))) assert.equal(now.get(name), id, name);
    const held = (await all()).filter(isUsed).map(({ name, claim }) => `${name} ${claim}`);
    const wanted = used.map(({ id, cluster }) => `${cluster?.name} ${id}`);
    assert.deepEqual(held.toSorted(), wanted.toSorted());
  };
  assert.ok(await isWhole());

  await t.test('half of the engines are killed at once', async () => {
    const before = await containers();
    const [first, second] = engines;
    await Promise.all([first?.kill(), second?.kill()]);
    await until(areStates([UNREACHABLE, UNREACHABLE, ACTIVE, ACTIVE]), patienceMs);
    for (const cluster of await all()) {
      const isLost = cluster.host === 'dock-0' || cluster.host === 'dock-1';
      const seen = [cluster.state, cluster.health, conditionOf(cluster, 'Reachable')];
      const wanted = isLost ? [Cluster_Health.UNKNOWN, 'HostUnreachable'] : [Cluster_Health.OK, 'HostAnswers'];
      assert.deepEqual(seen, [Cluster_State.READY, ...wanted], cluster.name);
    }
    const [lost] = await hostsNow();
    assert.equal(lost?.status?.conditions[0]?.reason, 'engine_unreachable');
    // Nothing there is given out; what is released there is built anew when its engine is back, and not before.
    const other = await claims.apply({ blueprint: 'evm-dev', allowMultiple: true });
    assert.match(other.cluster?.host ?? '', /dock-[23]/);
    await claims.release({ id: other.id });
    const given = used.shift();
    assert.ok(given?.cluster);
    assert.equal(given.cluster.host, 'dock-0');
    await claims.release({ id: given.id });
    const told = await events();
    for (const host of ['dock-0', 'dock-1'])
      assert.ok(
        told.some((event) => event.host === host && event.reason === 'HostUnreachable'),
        host,
      );
    await Promise.all([first?.restart(), second?.restart()]);
    const renewed = [given.cluster.name, other.cluster?.name ?? ''];
    await assertKept(before, renewed);
    const removed = (await events()).filter(({ reason }) => reason === 'MembersRemoving').map(({ cluster }) => cluster);
    assert.deepEqual(new Set(removed), new Set(renewed), 'nothing else was removed');
    used.push(await claims.apply({ blueprint: 'evm-dev', selectors: [{ host: 'dock-0' }], allowMultiple: true }));
  });

  await t.test('a host is cut off: its members go on, and are the same when it is back', async () => {
    const before = await containers();
    const runs = async (): Promise<readonly string[]> => {
      const list = (await engines[2]?.docker.listContainers({})) ?? [];
      const seen = await Promise.all(list.map(({ Id }) => engines[2]?.docker.getContainer(Id).inspect()));
      return seen.map((one) => `${one?.Id} ${one?.State.StartedAt}`).toSorted();
    };
    const running = await runs();
    third.cut();
    await until(areStates([ACTIVE, ACTIVE, UNREACHABLE, ACTIVE]), patienceMs);
    const lost = (await all()).filter(({ host }) => host === 'dock-2');
    for (const { health } of lost) assert.equal(health, Cluster_Health.UNKNOWN);
    await third.mend();
    await assertKept(before);
    assert.deepEqual(await runs(), running, 'nothing was started again');
  });

  await t.test('an engine is restarted, which ends its containers: they are started again', async () => {
    const before = await containers();
    await engines[3]?.stop();
    await engines[3]?.restart();
    await until(
      async () => (await events()).some(({ host, reason }) => host === 'dock-3' && reason === 'MembersStarting'),
      patienceMs,
    );
    await assertKept(before);
  });

  await t.test('half of all clusters freeze at once: the storm guard holds, and says so', async () => {
    const before = await containers();
    const frozen = engines.slice(0, 2);
    const each = async (verb: 'pause' | 'unpause'): Promise<void> => {
      for (const { docker } of frozen) {
        for (const { Id } of await docker.listContainers({})) {
          await docker
            .getContainer(Id)
            [verb]()
            .catch((error: unknown) => {
              if (verb === 'pause' || !isFrozenNoMore(error)) throw error;
            });
        }
      }
    };
    await each('pause');
    const isHeld = (cluster: Cluster): boolean => conditionOf(cluster, 'Healthy') === 'RepairsHeld';
    await until(async () => (await all()).some(isHeld), patienceMs);
    await each('unpause');
    const told = await events();
    assert.ok(told.some(({ message }) => /too much is sick at once, so nothing is rebuilt/.test(message)));
    await until(isWhole, patienceMs);
    const now = await containers();
    const rebuilt = [...before].filter(([name, id]) => now.get(name) !== id);
    assert.ok(rebuilt.length <= sickAtOnce, `rebuilt: ${rebuilt.join()}`);
  });

  await t.test('a host whose engine never came back can be deleted; what is left there goes when it is added again', async () => {
    const [, second] = engines;
    const { spec } = await hosts.getHost({ name: 'dock-1' });
    assert.ok(second && spec);
    await second.kill();
    await until(areStates([ACTIVE, UNREACHABLE, ACTIVE, ACTIVE]), patienceMs);
    await fleet.done(await hosts.deleteHost({ name: 'dock-1', force: true }));
    await until(async () => (await hostsNow()).length === 3, patienceMs);
    assert.deepEqual((await claims.listClaims({})).claims.length, used.length - 1, 'its claim has ended');
    await second.restart();
    assert.equal((await second.docker.listContainers({ all: true })).length, 2);
    await hosts.createHost({ host: { name: 'dock-1', spec: { ...spec, templates: [] } } });
    await until(async () => {
      const { Volumes } = await second.docker.listVolumes();
      return (await second.docker.listContainers({ all: true })).length + (Volumes ?? []).length === 0;
    }, patienceMs);
  });
});

/** A way to an engine that can be cut, while the engine and its containers go on. */
async function startRelay(engine: string): Promise<{ readonly address: string; cut(): void; mend(): Promise<void> }> {
  const target = engine.slice('unix://'.length);
  const path = `${target}.relay`;
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (near) => {
    const far = connect({ path: target, allowHalfOpen: true });
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(socket);
      socket.once('close', () => {
        open.delete(socket);
        other.destroy();
      });
      socket.on('error', () => other.destroy());
      socket.pipe(other);
    }
  });
  const mend = async (): Promise<void> => {
    server.listen(path);
    await once(server, 'listening');
  };
  await mend();
  return {
    address: `unix://${path}`,
    cut() {
      server.close();
      for (const socket of open) socket.destroy();
    },
    mend,
  };
}
