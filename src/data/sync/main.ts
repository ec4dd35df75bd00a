import { Sync } from '#gen/cellar/data/v1/sync_pb.ts';
import { defineService } from '#kernel/services/service.ts';
import { settings } from './settings.ts';
import { migrations } from './store/migrations.ts';

export const sync = defineService({
  name: 'cellar.grpc.data.sync',
  description: "Keeps one datasource's index in step with its folder.",
  contracts: [Sync],
  section: 'sync',
  settings,
  needs: ['cellar.grpc.data.index', 'cellar.grpc.data.objects'],
  placement: 'fork',
  hasInstances: true,
  migrations,
  start: async (micro) => (await import('./server.ts')).createServer(micro),
});
