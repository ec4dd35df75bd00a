import { Tree } from '#gen/cellar/data/v1/tree_pb.ts';
import { defineService } from '#kernel/services/service.ts';

export const tree = defineService({
  name: 'cellar.rest.tree',
  description: 'Joins all datasources in one tree: list, read, write, move and watch.',
  contracts: [Tree],
  settings: {},
  needs: ['cellar.rest.policies'],
  placement: 'main',
  start: async (micro) => (await import('./server.ts')).createServer(micro),
});
