import { Blueprints } from '#gen/cellar/fleet/v1/blueprints_pb.ts';
import { Clusters } from '#gen/cellar/fleet/v1/clusters_pb.ts';
import { Engine } from '#gen/cellar/fleet/v1/engine_pb.ts';
import { Hosts } from '#gen/cellar/fleet/v1/hosts_pb.ts';
import { Operations } from '#gen/cellar/fleet/v1/operations_pb.ts';
import { Snapshots } from '#gen/cellar/fleet/v1/snapshots_pb.ts';
import { Webhooks } from '#gen/cellar/fleet/v1/webhooks_pb.ts';
import { Streams } from '#gen/cellar/kernel/v1/streams_pb.ts';
import { defineService } from '#kernel/services/service.ts';
import { agentService, relayService } from '../common/services.ts';
import { settings } from './settings.ts';
import { migrations } from './store/migrations.ts';

export const fleetControl = defineService({
  name: 'cellar.grpc.fleet.control',
  description: 'Keeps hosts, clusters and claims, and has the fleet be as it is wanted.',
  contracts: [Hosts, Clusters, Engine, Blueprints, Operations, Snapshots, Webhooks, Streams],
  section: 'fleet',
  settings,
  needs: [agentService, relayService, 'cellar.rest.policies'],
  placement: 'main',
  migrations,
  isDurable: true,
  start: async (micro) => (await import('./server.ts')).createServer(micro),
});
