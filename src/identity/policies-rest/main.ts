import { Decisions, Policies } from '#gen/cellar/identity/v1/policies_pb.ts';
import { defineService } from '#kernel/services/service.ts';

export const policies = defineService({
  name: 'cellar.rest.policies',
  description: 'Policies as administrators see them, and what they allow.',
  contracts: [Policies, Decisions],
  settings: {},
  needs: ['cellar.grpc.policies', 'cellar.grpc.users'],
  placement: 'main',
  start: async (micro) => (await import('./server.ts')).createServer(micro),
});
