import { Agent } from '#gen/cellar/fleet/v1/agent_pb.ts';
import { Agents } from '#gen/cellar/fleet/v1/agents_pb.ts';
import { defineService } from '#kernel/services/service.ts';
import { relayService } from '../common/services.ts';
import { settings } from './settings.ts';
import { migrations } from './store/migrations.ts';

export const fleetRelay = defineService({
  name: relayService,
  description: 'Lets agents beside their hosts dial in, and passes calls on to them.',
  contracts: [Agents, Agent],
  section: 'agents',
  settings,
  needs: [],
  placement: 'main',
  migrations,
  isDurable: true,
  start: async (micro) => (await import('./server.ts')).createServer(micro),
});
