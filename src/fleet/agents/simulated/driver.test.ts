import { freePort } from '#kernel/testing/engines.ts';
import { driverSuite } from '../testing/driver.suite.ts';
import { createSimulatedDriver } from './driver.ts';
import { SimulatedHost, seeded } from './world.ts';

/** As of real engines, each call takes a moment. */
const host = new SimulatedHost();
host.troubles.latencyMs = 5;
host.missing.add('no-such-program');

driverSuite({
  type: 'simulated',
  skip: undefined,
  abilities: ['exec', 'stats'],
  missingReason: 'program_missing',
  result: '1',
  open: async () => ({
    image: '',
    port: freePort,
    driverOf: async (fleet) => createSimulatedDriver({ host, address: 'here', fleet, now: Date.now, random: seeded(1) }),
  }),
});
