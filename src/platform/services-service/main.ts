import { Services } from '#gen/cellar/platform/v1/services_pb.ts';
import { defineService, type ServiceDefinition } from '#kernel/services/service.ts';
import type { Platform } from '../platform.ts';

export const servicesService = (platform: Platform): ServiceDefinition =>
  defineService({
    name: 'cellar.grpc.services',
    description: 'The services of the installation: their state, logs and restarts.',
    contracts: [Services],
    settings: {},
    needs: [],
    placement: 'main',
    start: async (micro) => (await import('./server.ts')).createServer(micro, platform),
  });
