import type { DescService } from '@bufbuild/protobuf';
import { Datasources } from '#gen/cellar/data/v1/datasources_pb.ts';
import { Tree } from '#gen/cellar/data/v1/tree_pb.ts';
import { Agents } from '#gen/cellar/fleet/v1/agents_pb.ts';
import { Blueprints } from '#gen/cellar/fleet/v1/blueprints_pb.ts';
import { Clusters } from '#gen/cellar/fleet/v1/clusters_pb.ts';
import { Engine } from '#gen/cellar/fleet/v1/engine_pb.ts';
import { Hosts } from '#gen/cellar/fleet/v1/hosts_pb.ts';
import { Operations } from '#gen/cellar/fleet/v1/operations_pb.ts';
import { Snapshots } from '#gen/cellar/fleet/v1/snapshots_pb.ts';
import { Webhooks } from '#gen/cellar/fleet/v1/webhooks_pb.ts';
import { Keys, Sessions, Tokens } from '#gen/cellar/identity/v1/credentials_pb.ts';
import { Policies } from '#gen/cellar/identity/v1/policies_pb.ts';
import { Users } from '#gen/cellar/identity/v1/users_pb.ts';
import { Services, Settings } from '#gen/cellar/platform/v1/services_pb.ts';

/** Every contract with HTTP bindings, in the order of the reference. */
export const contracts: readonly DescService[] = [
  ...[Tree, Datasources],
  ...[Engine, Clusters, Snapshots, Webhooks, Hosts, Agents, Blueprints, Operations],
  ...[Sessions, Tokens, Keys, Users, Policies],
  ...[Services, Settings],
];
