import { Objects } from '#gen/cellar/data/v1/objects_pb.ts';
import { Streams } from '#gen/cellar/kernel/v1/streams_pb.ts';
import { defineService } from '#kernel/services/service.ts';
import type { ObjectsPlan } from '../plan.ts';
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
  // A new datasource beside others must not interrupt them.
  takesPlan: (before, after) => isSameParent(before as ObjectsPlan, after as ObjectsPlan),
  migrations,
  isDurable: true,
  start: async (micro) => (await import('./server.ts')).createServer(micro),
});

function isSameParent(before: ObjectsPlan, after: ObjectsPlan): boolean {
  return before.parent !== '' && before.parent === after.parent && before.bucketsOf === after.bucketsOf;
}
