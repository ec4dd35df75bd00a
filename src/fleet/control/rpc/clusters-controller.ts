import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { Clusters, ListClustersRequest_Use } from '#gen/cellar/fleet/v1/clusters_pb.ts';
import type { Call } from '#kernel/calls/call.ts';
import { type Binding, implement } from '#kernel/calls/dispatcher.ts';
import { failedPrecondition } from '#kernel/fault.ts';
import { cutPage, decodePageToken, pageSizeDefault } from '#kernel/paging.ts';
import { buildCluster } from '../logic/build-cluster.ts';
import { isOperator, visibleCluster } from '../logic/cluster-access.ts';
import { type ClusterVerb, orderCluster } from '../logic/cluster-verbs.ts';
import { type HostSights, isSeen } from '../logic/host-sights.ts';
import type { ClusterFilter, StoredCluster } from '../store/store.ts';
import { type DumpParts, dumpCluster } from './dump-cluster.ts';
import { clusterMessage, operationMessage, readClusterState, readHealth, readLabels, readSelector } from './messages.ts';

const list = 'clusters';
const tailDefault = 100;

export interface ClustersParts extends DumpParts {
  readonly sights: HostSights;
}

export function clustersRpc(parts: ClustersParts): Binding {
  const { store, sights, planOf } = parts;

  /** With what its host says of its members, however old the last look is. */
  async function describe(cluster: StoredCluster, signal: AbortSignal) {
    const sight = await sights.since(cluster.host, 0, signal);
    const members = isSeen(sight)
      ? sight.of(cluster.name).members.filter(({ incarnation }) => incarnation === cluster.incarnation)
      : undefined;
    const { endpoints } = await planOf(cluster);
    return clusterMessage(cluster, { endpoints, ...(members ? { members } : {}) });
  }

  const order =
    (verb: ClusterVerb) =>
    async ({ name, force, version }: { name: string; force: boolean; version: bigint }, { caller }: Call) => {
      const cluster = await visibleCluster(store, name, caller);
      const isOwner = cluster.owner !== '' && cluster.owner === caller.id;
      const mayForce = force && isOperator(caller);
      return operationMessage(
        await orderCluster(parts, { name, verb, version: Number(version), force: mayForce, isOwner, actor: caller.name }),
      );
    };

  /** A cluster and what runs it, for questions to its members. */
  async function reach(name: string, { caller }: Call) {
    const cluster = await visibleCluster(store, name, caller);
    return { ref: { cluster: name, incarnation: cluster.incarnation }, driver: await parts.driverOf(cluster.host), cluster };
  }

  return implement(Clusters, {
    async createCluster({ name, host, blueprint, parameters, labels }, call) {
      const wish = { ...(name ? { name } : {}), ...(host ? { host } : {}), blueprint, parameters, labels: readLabels(labels) };
      return describe(await buildCluster(parts, wish, call.caller.name), call.signal);
    },
    getCluster: async ({ name }, call) => describe(await visibleCluster(store, name, call.caller), call.signal),
    async listClusters(request, { caller }) {
      const limit = request.pageSize || pageSizeDefault;
      const { host, blueprint, owner, use } = request;
      const state = readClusterState(request.state);
      const health = readHealth(request.health);
      const labels = readSelector(request.labels);
      const ownOnly = isOperator(caller) ? owner : caller.id;
      const filter: ClusterFilter = {
        ...(host ? { host } : {}),
        ...(blueprint ? { blueprint } : {}),
        ...(ownOnly ? { owner: ownOnly } : {}),
        ...(state ? { state } : {}),
        ...(health ? { health } : {}),
        ...(use === ListClustersRequest_Use.UNSPECIFIED ? {} : { isUsed: use === ListClustersRequest_Use.USED }),
        ...(Object.keys(labels).length > 0 ? { labels } : {}),
      };
      const rows = await store.clusters(filter, decodePageToken(list, request.pageToken), limit + 1);
      const [page, nextPageToken] = cutPage(list, rows, limit, ({ name }) => name);
      const clusters = await Promise.all(
        page.map(async (cluster) => clusterMessage(cluster, { endpoints: (await planOf(cluster)).endpoints })),
      );
      return { clusters, nextPageToken };
    },
    startCluster: order('start'),
    stopCluster: order('stop'),
    restartCluster: order('restart'),
    deleteCluster: order('delete'),
    resetCluster: order('reset'),
    async *readClusterLogs({ name, member, follow, tail }, call) {
      const { ref, driver } = await reach(name, call);
      for await (const line of driver.logs({ ...ref, member, isFollowing: follow, tail: tail || tailDefault }, call.signal)) {
        const { timeMs, text, isError } = line;
        yield { member: line.member, text, isError, ...(timeMs > 0 ? { time: timestampFromMs(timeMs) } : {}) };
      }
    },
    async *watchClusterStats({ name, follow }, call) {
      const { ref, driver } = await reach(name, call);
      for await (const members of driver.use(ref, follow, call.signal))
        yield { members: members.map((one) => ({ ...one, memoryBytes: BigInt(one.memoryBytes) })) };
    },
    async execInCluster({ name, member, command }, call) {
      const { ref, driver } = await reach(name, call);
      return await driver.exec(ref, member, command, call.signal);
    },
    async *dumpCluster({ name }, { caller, signal }) {
      const cluster = await visibleCluster(store, name, caller);
      for await (const data of dumpCluster(parts, cluster, isOperator(caller), signal))
        yield { contentType: 'application/gzip', data };
    },
    async getConnection({ name }, { caller }) {
      const cluster = await visibleCluster(store, name, caller);
      if (cluster.state !== 'ready')
        throw failedPrecondition(`Cluster "${name}" is ${cluster.state}, so nothing can connect to it`, {
          reason: 'cluster_not_ready',
        });
      const { endpoints, connection } = await planOf(cluster);
      const isFile = (path: string): boolean => path.includes('/') || path.includes('.');
      const pick = (files: boolean) => Object.entries(connection).filter(([path]) => isFile(path) === files);
      return {
        endpoints,
        secrets: Object.fromEntries(pick(false)),
        files: Object.fromEntries(pick(true).map(([path, text]) => [path, Buffer.from(text)])),
      };
    },
  });
}
