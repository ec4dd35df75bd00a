import { defineService } from '#kernel/services/service.ts';
import { settings } from './settings.ts';

export const webGateway = defineService({
  name: 'cellar.gateway.web',
  description: 'The one HTTP address: REST, its reference, S3, health and metrics.',
  contracts: [],
  section: 'gateway',
  settings,
  // Last to start, first to stop: nobody is let in before there is somebody to ask.
  needs: [
    'cellar.grpc.users',
    'cellar.rest.policies',
    'cellar.grpc.settings',
    'cellar.grpc.services',
    'cellar.grpc.datasources',
    'cellar.rest.tree',
    'cellar.grpc.data.objects',
  ],
  placement: 'main',
  start: async (micro) => (await import('./server.ts')).createServer(micro),
});
