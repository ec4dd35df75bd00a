import { after, before } from 'node:test';
import { freePort } from '#kernel/testing/engines.ts';
import { connectEngine } from '../docker-engine/connect.ts';
import { dockerMissing, startDocker, type TestDocker } from '../testing/docker-engines.ts';
import { driverSuite } from '../testing/driver.suite.ts';
import { imageMissing, importImage } from '../testing/test-images.ts';
import { createDockerDriver } from './driver.ts';

const skip = dockerMissing() ?? imageMissing('busybox');
let engine: TestDocker | undefined;
let image = '';
before(async () => {
  if (skip) return;
  engine = await startDocker();
  image = await importImage(engine.docker, 'busybox');
});
after(async () => await engine?.[Symbol.asyncDispose]());

driverSuite({
  type: 'docker',
  skip,
  abilities: ['exec', 'stats', 'limits', 'pause', 'snapshot'],
  missingReason: 'image_missing',
  open: async () => ({
    image,
    port: freePort,
    driverOf: async (fleet) =>
      createDockerDriver({ engine: await connectEngine(engine?.address ?? '', '', ''), host: 'here', fleet }),
  }),
});
