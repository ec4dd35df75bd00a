import { Agent } from '#gen/cellar/fleet/v1/agent_pb.ts';
import { defineService } from '#kernel/services/service.ts';

export const fleetAgent = defineService({
  name: 'cellar.grpc.fleet.agent',
  description: 'Runs clusters on hosts: as local processes, and on Docker, Swarm and Kubernetes.',
  contracts: [Agent],
  settings: {},
  needs: [],
  placement: 'main',
  start: async (micro) => (await import('./server.ts')).createServer(micro),
});
