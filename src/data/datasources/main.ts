import { Datasources } from '#gen/cellar/data/v1/datasources_pb.ts';
import { defineService } from '#kernel/services/service.ts';

export const datasources = defineService({
  name: 'cellar.grpc.datasources',
  description: 'Says which folders are served, adds and removes them.',
  contracts: [Datasources],
  settings: {},
  needs: ['cellar.grpc.settings', 'cellar.rest.policies'],
  placement: 'main',
  start: async (micro) => (await import('./server.ts')).createServer(micro),
});
