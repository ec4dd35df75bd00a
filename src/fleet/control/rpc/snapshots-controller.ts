import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { ClusterSnapshot_State, type ClusterSnapshotSchema, Snapshots } from '#gen/cellar/fleet/v1/snapshots_pb.ts';
import type { Caller } from '#kernel/calls/caller.ts';
import { type Binding, implement } from '#kernel/calls/dispatcher.ts';
import { notFound } from '#kernel/fault.ts';
import { cutPage, decodePlace, pageSizeDefault } from '#kernel/paging.ts';
import { isOperator, visibleCluster } from '../logic/cluster-access.ts';
import { assertReady, deleteSnapshot, restoreSnapshot, type SnapshotParts, takeSnapshot } from '../logic/snapshot-verbs.ts';
import type { SnapshotPlace, SnapshotState, StoredSnapshot } from '../store/snapshot-store.ts';
import type { StoredCluster } from '../store/store.ts';
import { operationMessage } from './messages.ts';

const list = 'snapshots';
/** In place of a cluster's name. */
const all = '-';
const pieceSize = 1000;

const states: Readonly<Record<SnapshotState, ClusterSnapshot_State>> = {
  creating: ClusterSnapshot_State.CREATING,
  ready: ClusterSnapshot_State.READY,
  failed: ClusterSnapshot_State.FAILED,
  deleting: ClusterSnapshot_State.UNSPECIFIED,
};

export function snapshotsRpc(parts: SnapshotParts): Binding {
  const { store } = parts;

  /** Errors: `not_found`, also for one that was taken for another user. */
  async function find(clusterName: string, name: string, caller: Caller) {
    const cluster = await visibleCluster(store, clusterName, caller);
    const snapshot = await store.snapshot(clusterName, name);
    if (snapshot && isVisible(snapshot, cluster, caller)) return { cluster, snapshot };
    throw notFound(`Cluster "${clusterName}" has no snapshot "${name}"`, {
      reason: 'snapshot_missing',
      hint: '`cellar cluster snapshot list` shows those there are.',
    });
  }

  /** Those that the caller may see, in order, after a place; one more than asked for when there are more. */
  async function visible(
    cluster: string,
    after: SnapshotPlace | undefined,
    limit: number,
    caller: Caller,
  ): Promise<readonly StoredSnapshot[]> {
    if (cluster !== all) {
      const found = await visibleCluster(store, cluster, caller);
      return (await store.snapshots(cluster, after, limit)).filter((one) => isVisible(one, found, caller));
    }
    if (isOperator(caller)) return await store.snapshots(undefined, after, limit);
    const own = await store.clusters({ owner: caller.id }, '', pieceSize);
    const snapshots: StoredSnapshot[] = [];
    for (const one of own) {
      if (snapshots.length >= limit) break;
      if (after && one.name < after.cluster) continue;
      const found = await store.snapshots(one.name, after?.cluster === one.name ? after : undefined, pieceSize);
      snapshots.push(...found.filter((snapshot) => isVisible(snapshot, one, caller)));
    }
    return snapshots.slice(0, limit);
  }

  return implement(Snapshots, {
    async createSnapshot({ cluster, name }, { caller }) {
      return operationMessage(await takeSnapshot(parts, await visibleCluster(store, cluster, caller), name, caller.name));
    },
    getSnapshot: async ({ cluster, name }, { caller }) => snapshotMessage((await find(cluster, name, caller)).snapshot),
    async listSnapshots({ cluster, pageSize, pageToken }, { caller }) {
      const limit = pageSize || pageSizeDefault;
      const rows = await visible(cluster, decodePlace(list, pageToken, isPlace), limit + 1, caller);
      const [page, nextPageToken] = cutPage(
        list,
        rows,
        limit,
        (row): SnapshotPlace => ({ cluster: row.cluster, createdMs: row.createdMs, id: row.id }),
      );
      return { snapshots: page.map(snapshotMessage), nextPageToken };
    },
    async restoreSnapshot(request, { caller }) {
      const { cluster, snapshot } = await find(request.cluster, request.name, caller);
      const into = request.into === '' ? cluster : await visibleCluster(store, request.into, caller);
      return operationMessage(await restoreSnapshot(parts, into, snapshot, cluster, caller.name));
    },
    async *downloadSnapshot(request, { caller, signal }) {
      const { snapshot } = await find(request.cluster, request.name, caller);
      assertReady(snapshot, 'downloaded');
      for await (const data of parts.files.pack(snapshot, signal)) yield { contentType: 'application/x-tar', data };
    },
    async deleteSnapshot(request, { caller }) {
      const { cluster, snapshot } = await find(request.cluster, request.name, caller);
      await deleteSnapshot(parts, cluster, snapshot, caller.name);
      return {};
    },
  });
}

/** Users see those of their own claim: what was saved for others before is not theirs. */
const isVisible = ({ claim }: StoredSnapshot, cluster: StoredCluster, caller: Caller): boolean =>
  isOperator(caller) || (claim !== '' && claim === cluster.claim);

export function snapshotMessage(snapshot: StoredSnapshot): MessageInitShape<typeof ClusterSnapshotSchema> {
  const { name, cluster, blueprint, parameters, incarnation, state, reason, message, sizeBytes, volumes, actor } = snapshot;
  return {
    ...{ name, cluster, blueprint, parameters, incarnation, reason, message, actor, state: states[state] },
    ...{ sizeBytes: BigInt(sizeBytes), volumes: volumes.length, createTime: timestampFromMs(snapshot.createdMs) },
  };
}

function isPlace(place: unknown): place is SnapshotPlace {
  const { cluster, createdMs, id } = Object(place) as Readonly<Record<string, unknown>>;
  return typeof cluster === 'string' && typeof createdMs === 'number' && typeof id === 'string';
}
