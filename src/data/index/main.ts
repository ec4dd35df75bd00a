import { Index } from '#gen/cellar/data/v1/index_pb.ts';
import { Streams } from '#gen/cellar/kernel/v1/streams_pb.ts';
import { defineService } from '#kernel/services/service.ts';
import { settings } from './settings.ts';
import { migrations } from './store/migrations.ts';

export const index = defineService({
  name: 'cellar.grpc.data.index',
  description: "Answers every question about one datasource's tree.",
  contracts: [Index, Streams],
  section: 'index',
  settings,
  needs: [],
  placement: 'fork',
  hasInstances: true,
  migrations,
  isRebuildable: true,
  start: async (micro) => (await import('./server.ts')).createServer(micro),
});
