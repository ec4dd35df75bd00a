import assert from 'node:assert/strict';
import { after, before, describe, type TestContext, test } from 'node:test';
import { Cluster_Health } from '#gen/cellar/fleet/v1/clusters_pb.ts';
import { AgentType } from '#gen/cellar/fleet/v1/hosts_pb.ts';
import { dockerMissing } from './agents/testing/docker-engines.ts';
import { startSwarm, type TestSwarm } from './agents/testing/swarm-engines.ts';
import { imageMissing, importImage, type TestImage } from './agents/testing/test-images.ts';
import { apply, release, shows } from './testing/chain-ground.ts';
import { type ChainGround, etcdScenario, litecoinScenario } from './testing/chain-scenarios.ts';
import { containerGround } from './testing/container-ground.ts';
import { startFleet } from './testing/fleet-platform.ts';
import { poolScenario } from './testing/pool-scenario.ts';

const { DEGRADED, OK } = Cluster_Health;
const skip = dockerMissing() ?? imageMissing('litecoin', 'etcd', 'anvil');
/** A registry that refuses at once; nodes have the images. */
const prefix = '127.0.0.1:9/';
/** Three engines on one machine, which may be busy with other tests. */
const patienceMs = 180_000;
let swarm: TestSwarm;
before(async () => {
  if (skip) return;
  swarm = await startSwarm();
  for (const image of ['litecoin', 'etcd', 'anvil'] as const)
    await Promise.all(swarm.nodes.map(({ docker }) => importImage(docker, image, prefix)));
});
after(async () => await swarm?.[Symbol.asyncDispose]());

const ground = (t: TestContext, name: TestImage, portFirst: number): Promise<ChainGround> => {
  const engines = swarm.nodes.map(({ docker }) => docker);
  return containerGround(t, {
    ...{ type: AgentType.SWARM, address: swarm.address, engines, image: `${prefix}${name}:1`, portFirst, patienceMs },
  });
};

describe('clusters on a swarm of three engines', { skip: skip ?? false }, () => {
  describe('each for itself', { concurrency: true }, () => {
    test('litecoin', async (t) => litecoinScenario(await ground(t, 'litecoin', 24_000)));
    test('etcd', async (t) => etcdScenario(await ground(t, 'etcd', 24_100)));
    test('a pool', async (t) => {
      const parameters = { image: `${prefix}anvil:1` };
      const fleet = await startFleet(t);
      await poolScenario({ fleet, type: AgentType.SWARM, address: swarm.address, parameters, portFirst: 24_200 });
    });
  });

  test('a node is cut off: the cluster serves on, says why it is degraded, and heals', async (t) => {
    const place = await ground(t, 'etcd', 24_300);
    const used = await apply(place, 'etcd', { size: '3', fsync: 'false' });
    // Members are spread, so each node has one.
    const urls = (used.connection['endpoints'] ?? '').split(',').map((url) => new URL(url).hostname);
    assert.equal(new Set(urls).size, 3);
    const lost = swarm.nodes[2];
    assert.ok(lost);
    lost.cut();
    try {
      await shows(place, used, [DEGRADED], new RegExp(`member-${urls.indexOf(lost.ip)}`));
    } finally {
      lost.mend();
    }
    await shows(place, used, [OK]);
    await release(place, used);
  });

  test('the leader is cut off: another one takes over, and clusters are built meanwhile', async (t) => {
    const place = await ground(t, 'etcd', 24_400);
    const used = await apply(place, 'etcd', { size: '3', fsync: 'false' });
    const all = (await swarm.nodes[0]?.docker.listNodes()) as readonly { ManagerStatus?: { Leader?: boolean; Addr: string } }[];
    const leader = all.find(({ ManagerStatus }) => ManagerStatus?.Leader)?.ManagerStatus?.Addr.split(':')[0];
    const lost = swarm.nodes.find(({ ip }) => ip === leader);
    assert.ok(lost);
    lost.cut();
    try {
      await shows(place, used, [DEGRADED]);
      await release(place, await apply(place, 'etcd', { size: '3', fsync: 'true' }));
    } finally {
      lost.mend();
    }
    await shows(place, used, [OK]);
    await release(place, used);
  });
});
