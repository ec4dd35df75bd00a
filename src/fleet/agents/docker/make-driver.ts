import { join } from 'node:path';
import { connectEngine } from '../docker-engine/connect.ts';
import type { DriverMaker } from '../server.ts';
import { createDockerDriver } from './driver.ts';

export const makeDockerDriver: DriverMaker = async ({ host, fleet, address, credentials }, { folder }) =>
  createDockerDriver({ engine: await connectEngine(address, credentials, join(folder, 'credentials')), host, fleet });
