import type { DriverMaker } from '../server.ts';
import { createSimulatedDriver } from './driver.ts';
import { SimulatedWorld, seeded } from './world.ts';

/** What this process imagines; it is gone with it. */
const world = new SimulatedWorld();

export const makeSimulatedDriver: DriverMaker = async ({ address, host, fleet }, { clock }) => {
  const name = address || host;
  return createSimulatedDriver({ host: world.host(name), address: name, fleet, now: () => clock.now(), random: seeded(1) });
};
