import { spawnSync } from 'node:child_process';
import { after, before, describe, type TestContext, test } from 'node:test';
import { AgentType } from '#gen/cellar/fleet/v1/hosts_pb.ts';
import { dockerMissing, startDocker, type TestDocker } from './agents/testing/docker-engines.ts';
import { imageMissing, importImage } from './agents/testing/test-images.ts';
import type { ChainGround } from './testing/chain-ground.ts';
import { containerGround } from './testing/container-ground.ts';
import { operator, startFleet } from './testing/fleet-platform.ts';
import { etcdSnapshotScenario, litecoinSnapshotScenario } from './testing/snapshot-scenario.ts';

/** Why a program cannot be run here, or false; under CI a missing one is an error. */
function missing(program: string, packages: string): string | false {
  if (!spawnSync(program, ['--version']).error) return false;
  const reason = `${program} is not on the PATH; enable with: apt-get install ${packages}`;
  if (process.env['CI']) throw new Error(reason);
  return reason;
}

async function localGround(t: TestContext, portFirst: number): Promise<ChainGround> {
  const fleet = await startFleet(t);
  const spec = { type: AgentType.PROCESS, capacity: 3, portFirst, portLast: portFirst + 99 };
  await fleet.as(operator).hosts.createHost({ host: { name: 'local', spec } });
  const unused = () => Promise.reject(new Error('This is not asked here'));
  return { fleet, host: 'local', kill: unused, freeze: unused, thaw: unused };
}

test('snapshots of etcd as local processes', { skip: missing('etcd', 'etcd-server'), timeout: 240_000 }, async (t) => {
  await etcdSnapshotScenario(await localGround(t, 23_800));
});

test('snapshots of litecoin, over a reset', { skip: missing('litecoind', 'litecoind'), timeout: 240_000 }, async (t) => {
  await litecoinSnapshotScenario(await localGround(t, 23_900));
});

const noDocker = dockerMissing() ?? imageMissing('etcd');
describe('in containers', { skip: noDocker ?? false }, () => {
  let engine: TestDocker;
  before(async () => {
    engine = await startDocker();
  });
  // After the fleet has taken away what it had there.
  after(() => engine[Symbol.asyncDispose]());

  test('snapshots of etcd', { timeout: 240_000 }, async (t) => {
    const { address, docker } = engine;
    const image = await importImage(docker, 'etcd');
    const place = { type: AgentType.DOCKER, address, engines: [docker], image, portFirst: 24_500 };
    await etcdSnapshotScenario(await containerGround(t, place));
  });
});
