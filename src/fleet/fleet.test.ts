import { test } from 'node:test';
import { AgentType } from '#gen/cellar/fleet/v1/hosts_pb.ts';
import { startFleet } from './testing/fleet-platform.ts';
import { poolScenario } from './testing/pool-scenario.ts';

test('a pool of local processes', async (t) => {
  const fleet = await startFleet(t);
  await poolScenario({ fleet, type: AgentType.PROCESS, address: '', parameters: {}, portFirst: 23_800 });
});
