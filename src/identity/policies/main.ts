import { PolicyStore } from '#gen/cellar/identity/v1/policies_pb.ts';
import { defineService } from '#kernel/services/service.ts';
import { migrations } from './migrations.ts';

export const policyStore = defineService({
  name: 'cellar.grpc.policies',
  description: 'Keeps policies: rows and versions.',
  contracts: [PolicyStore],
  settings: {},
  needs: [],
  placement: 'main',
  migrations,
  isDurable: true,
  start: async (micro) => (await import('./server.ts')).createServer(micro),
});
