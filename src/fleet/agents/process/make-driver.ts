import { join } from 'node:path';
import { failedPrecondition } from '#kernel/fault.ts';
import type { DriverMaker } from '../server.ts';
import { openCgroups } from './cgroups.ts';
import { createProcessDriver } from './driver.ts';

export const makeProcessDriver: DriverMaker = async ({ host, fleet }, { folder, log, clock }) => {
  if (process.platform !== 'linux') {
    throw failedPrecondition('Local processes are run on Linux only, since they are found again by what /proc says of them', {
      reason: 'host_unsuitable',
      hint: 'Use a host of type "docker".',
    });
  }
  return createProcessDriver({
    ...{ folder: join(folder, 'process', host), host, fleet, log },
    cgroups: await openCgroups(),
    now: () => clock.now(),
  });
};
