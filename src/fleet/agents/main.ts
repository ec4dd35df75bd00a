import { Agent } from '#gen/cellar/fleet/v1/agent_pb.ts';
import { Introduction, Renewal } from '#gen/cellar/fleet/v1/agents_pb.ts';
import { defineService } from '#kernel/services/service.ts';
import { agentService } from '../common/services.ts';
import { settings } from './settings.ts';

export const fleetAgent = defineService({
  name: agentService,
  description: 'Runs clusters on hosts: as local processes, and on Docker, Swarm and Kubernetes.',
  contracts: [Agent, Introduction, Renewal],
  section: 'kubernetes',
  settings,
  needs: [],
  placement: 'main',
  start: async (micro) => (await import('./server.ts')).createServer(micro),
});
