import { after, before } from 'node:test';
import { freePort } from '#kernel/testing/engines.ts';
import { connectEngine } from '../docker-engine/connect.ts';
import { dockerMissing } from '../testing/docker-engines.ts';
import { driverSuite } from '../testing/driver.suite.ts';
import { startSwarm, type TestSwarm } from '../testing/swarm-engines.ts';
import { imageMissing, importImage } from '../testing/test-images.ts';
import { createSwarmDriver } from './driver.ts';

const skip = dockerMissing() ?? imageMissing('busybox');
/** A registry that refuses at once. */
const prefix = '127.0.0.1:9/';
let swarm: TestSwarm | undefined;
before(async () => {
  if (skip) return;
  swarm = await startSwarm();
  for (const { docker } of swarm.nodes) await importImage(docker, 'busybox', prefix);
});
after(async () => await swarm?.[Symbol.asyncDispose]());

driverSuite({
  type: 'swarm',
  skip,
  abilities: ['exec', 'stats', 'limits', 'snapshot'],
  missingReason: 'image_missing',
  open: async () => ({
    image: `${prefix}busybox:1`,
    port: freePort,
    async driverOf(fleet) {
      const engines = await Promise.all((swarm?.nodes ?? []).map(({ address }) => connectEngine(address, '', '')));
      return createSwarmDriver({ engines, host: 'here', fleet });
    },
  }),
});
