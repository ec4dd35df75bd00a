import { Objects } from '#gen/cellar/data/v1/objects_pb.ts';
import { Streams } from '#gen/cellar/kernel/v1/streams_pb.ts';
import { defineService } from '#kernel/services/service.ts';
import { settings } from './settings.ts';
import { migrations } from './store/migrations.ts';

export const objects = defineService({
  name: 'cellar.grpc.data.objects',
  description: 'Keeps the files of the folders below one parent folder and serves them over S3.',
  contracts: [Objects, Streams],
  section: 'objects',
  settings,
  needs: [],
  placement: 'fork',
  hasInstances: true,
  hasHttp: true,
  migrations,
  start: async (micro) => (await import('./server.ts')).createServer(micro),
});
