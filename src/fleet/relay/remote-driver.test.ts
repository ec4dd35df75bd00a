import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { Agents } from '#gen/cellar/fleet/v1/agents_pb.ts';
import { serviceCaller } from '#kernel/calls/caller.ts';
import type { Micro } from '#kernel/services/service.ts';
import { freePort, temporaryFolder, until } from '#kernel/testing/engines.ts';
import { startTestPlatform } from '#kernel/testing/platform.ts';
import { runAgent } from '#platform/run-agent.ts';
import { catalogue } from '../../catalogue.ts';
import { openCgroups } from '../agents/process/cgroups.ts';
import { dockerMissing, startDocker, type TestDocker } from '../agents/testing/docker-engines.ts';
import { driverSuite } from '../agents/testing/driver.suite.ts';
import { imageMissing, importImage } from '../agents/testing/test-images.ts';
import { agentService, relayService } from '../common/services.ts';
import type { Driver } from '../driver/driver.ts';
import { createRemoteDriver } from '../driver/remote-driver.ts';
import { operator } from '../testing/fleet-platform.ts';
import { fleetRelay } from './main.ts';

// What every driver has to hold, over the connection of an agent that has dialled in.
const skip =
  process.env['CELLAR_TEST_LONG'] === '1'
    ? (dockerMissing() ?? imageMissing('busybox'))
    : 'the suite of Docker runs without an agent between; CELLAR_TEST_LONG=1 runs it with one, too';
const { hasLimits } = await openCgroups();
const folder = temporaryFolder();
const listen = `127.0.0.1:${await freePort()}`;
const relay = await startTestPlatform([{ definition: fleetRelay, instance: '', plan: undefined }], {
  settings: { [relayService]: { listen } },
});
const agents = relay.client(Agents, operator);
const stop = new AbortController();
const running = new Map<string, Promise<void>>();
after(async () => {
  stop.abort();
  await Promise.all(running.values());
  await relay.stop();
  folder[Symbol.dispose]();
});

/** An agent of its own for each host; resolves when it is connected. */
async function runFor(host: string): Promise<void> {
  if (running.has(host)) return;
  const bundle = join(folder.path, `${host}.pem`);
  await writeFile(bundle, (await agents.enrolAgent({ host })).bundle, { mode: 0o600 });
  const ended = runAgent({
    ...{ home: join(folder.path, host), catalogue, service: agentService, platform: listen, bundle },
    ...{ environment: {}, signal: stop.signal },
  });
  running.set(host, ended);
  await Promise.race([until(async () => (await agents.getAgent({ host })).connected), ended]);
}

const caller = serviceCaller('cellar.grpc.fleet.control');
async function driverOf(host: string, type: 'process' | 'docker', address: string): Promise<Driver> {
  await runFor(host);
  const client: Micro['client'] = (desc, { service = '' } = {}) => relay.client(desc, caller, service);
  const engine = { host, type, address, credentials: '', fleet: `${host}-${process.pid}`, isRemote: true };
  return createRemoteDriver({ client }, engine, () => 1);
}

driverSuite({
  type: 'process',
  skip: process.platform === 'linux' ? undefined : 'local processes are run on Linux only',
  abilities: hasLimits ? ['exec', 'stats', 'limits', 'snapshot'] : ['exec', 'stats', 'snapshot'],
  missingReason: 'program_missing',
  open: async () => ({ image: '', port: freePort, driverOf: (fleet) => driverOf(fleet, 'process', '') }),
});

let docker: TestDocker | undefined;
let image = '';
before(async () => {
  if (skip) return;
  docker = await startDocker();
  image = await importImage(docker.docker, 'busybox');
});
after(async () => await docker?.[Symbol.asyncDispose]());

driverSuite({
  type: 'docker',
  skip,
  abilities: ['exec', 'stats', 'limits', 'pause', 'snapshot'],
  missingReason: 'image_missing',
  open: async () => ({ image, port: freePort, driverOf: (fleet) => driverOf(fleet, 'docker', docker?.address ?? '') }),
});
