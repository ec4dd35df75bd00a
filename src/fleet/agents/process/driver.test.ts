import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { silentLog } from '#kernel/log.ts';
import { freePort } from '#kernel/testing/engines.ts';
import { driverSuite } from '../testing/driver.suite.ts';
import { openCgroups } from './cgroups.ts';
import { createProcessDriver } from './driver.ts';

const cgroups = await openCgroups();
const root = mkdtempSync(join(tmpdir(), 'cellar-process-'));
after(() => rmSync(root, { recursive: true, force: true }));

driverSuite({
  type: 'process',
  skip: process.platform === 'linux' ? undefined : 'local processes are run on Linux only',
  abilities: cgroups.hasLimits ? ['exec', 'stats', 'limits', 'snapshot'] : ['exec', 'stats', 'snapshot'],
  missingReason: 'program_missing',
  open: async () => ({
    image: '',
    port: freePort,
    driverOf: async (fleet) =>
      createProcessDriver({
        folder: join(root, fleet),
        host: 'here',
        fleet: `${fleet}-${process.pid}`,
        cgroups,
        log: silentLog,
        now: Date.now,
      }),
  }),
});
