import { join } from 'node:path';
import { connectEngine } from '../docker-engine/connect.ts';
import type { DriverMaker } from '../server.ts';
import { createSwarmDriver } from './driver.ts';

/** `address`: those of the engines of all nodes that members may live on, with commas between. */
export const makeSwarmDriver: DriverMaker = async ({ host, fleet, address, credentials }, { folder }) => {
  const keys = join(folder, 'credentials');
  const engines = await Promise.all(address.split(',').map((one) => connectEngine(one.trim(), credentials, keys)));
  return createSwarmDriver({ engines, host, fleet });
};
