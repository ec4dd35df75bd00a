import { Settings } from '#gen/cellar/platform/v1/services_pb.ts';
import { defineService, type ServiceDefinition } from '#kernel/services/service.ts';
import type { Platform } from '../platform.ts';

export const settingsService = (platform: Platform): ServiceDefinition =>
  defineService({
    name: 'cellar.grpc.settings',
    description: 'Settings of the installation: lists, checks and changes them.',
    contracts: [Settings],
    settings: {},
    needs: [],
    placement: 'main',
    start: async () => (await import('./server.ts')).createServer(platform),
  });
