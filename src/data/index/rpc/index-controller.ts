import { type Index, type ListNodesRequest, ListNodesRequest_Order } from '#gen/cellar/data/v1/index_pb.ts';
import type { Implementation } from '#kernel/calls/dispatcher.ts';
import { failedPrecondition, notFound, unavailable } from '#kernel/fault.ts';
import { cutPage, decodePlace, encodePageToken } from '#kernel/paging.ts';
import { inFolder } from '#lib/tree-path.ts';
import type { ApplyChanges } from '../logic/apply-changes.ts';
import type { ChangeFeed } from '../logic/change-feed.ts';
import type { CheckIndex } from '../logic/check-index.ts';
import { isListPlace, type Listing, listingName } from '../logic/listing.ts';
import { nodeTest } from '../logic/node-filter.ts';
import type { Snapshots } from '../logic/snapshots.ts';
import type { SourcePosition } from '../logic/source-position.ts';
import type { FolderRun } from '../store/folder-runs.ts';
import { placeOf } from '../store/sql.ts';
import type { ListOrder, StoredNode, TreeStore } from '../store/store.ts';
import {
  checkMessage,
  entryMessage,
  type Naming,
  nodeMessage,
  readChange,
  readFilter,
  readPath,
  runMessage,
  snapshotMessage,
} from './messages.ts';

export interface IndexParts {
  readonly store: TreeStore;
  readonly naming: Naming;
  readonly sourcePosition: SourcePosition;
  readonly apply: ApplyChanges;
  readonly walkFolders: (top: StoredNode) => AsyncIterable<readonly FolderRun[]>;
  /** Head of the event stream. */
  readonly head: (signal: AbortSignal) => Promise<number>;
  readonly feed: ChangeFeed;
  readonly snapshots: Snapshots;
  readonly check: CheckIndex;
  /** Ends what would last for ever. */
  readonly stopping: AbortSignal;
}

const pageSizeDefault = 1000;

export function createIndexController(parts: IndexParts): Implementation<typeof Index> {
  const { store, naming, sourcePosition, apply, head, feed, snapshots, check, stopping } = parts;

  async function find(path: string): Promise<StoredNode> {
    const node = await store.find(readPath(path));
    if (!node)
      throw notFound(`There is nothing at ${JSON.stringify(`${naming.datasource}/${path}`)}`, { reason: 'node_missing' });
    return node;
  }

  async function findFolder(path: string): Promise<StoredNode> {
    const node = await find(path);
    if (!node.isFolder) {
      throw failedPrecondition(`Cannot list ${JSON.stringify(`${naming.datasource}/${path}`)}: it is a file`, {
        reason: 'not_a_folder',
      });
    }
    return node;
  }

  const fullPath = (path: string): string => inFolder(naming.datasource, readPath(path)).replace(/\/$/, '');

  return {
    async applyChanges({ changes, sourcePosition: position, quiet }, call) {
      const covered = position === undefined ? undefined : Number(position);
      const options = { sourcePosition: covered, isQuiet: quiet };
      const { events, position: at } = await apply(changes.map(readChange), options, call.signal);
      const count = (...of: string[]): bigint =>
        BigInt(events.reduce((sum, { kind, came = 1 }) => sum + (of.includes(kind) ? came : 0), 0));
      return {
        created: count('created', 'copied', 'filled'),
        updated: count('updated', 'moved'),
        deleted: count('deleted'),
        position: BigInt(at),
      };
    },
    async getNode({ path, minSourcePosition }, call) {
      await sourcePosition.reach(Number(minSourcePosition), call.signal);
      return nodeMessage(await find(path), naming);
    },
    async listNodes(request, call) {
      await sourcePosition.reach(Number(request.minSourcePosition), call.signal);
      const listing = readListing(request);
      const list = listingName(listing);
      const after = decodePlace(list, request.pageToken, isListPlace);
      const limit = request.pageSize || pageSizeDefault;
      const folder = await findFolder(request.path);
      const nodes = await store.list(folder, { ...listing, after, limit: limit + 1 });
      const [page, nextPageToken] = cutPage(list, nodes, limit, (node) => placeOf(node, listing.order));
      return { nodes: page.map((node) => nodeMessage(node, naming)), nextPageToken };
    },
    async *walkNodes({ path, filter, limit, resumeToken }) {
      const bounds = filter ? readFilter(filter) : {};
      const passes = nodeTest(bounds);
      const list = `nodes below ${JSON.stringify(path)}`;
      const after = decodePlace(list, resumeToken, (place) => typeof place === 'string') ?? '';
      let left = limit === 0n ? Number.POSITIVE_INFINITY : Number(limit);
      for await (const { nodes, place } of store.walk(await findFolder(path), { after, onlyFolders: bounds.kind === 'folder' })) {
        const all = passes ? nodes.filter(passes) : nodes;
        const some = all.length > left ? all.slice(0, left) : all;
        left -= some.length;
        const last = some.at(-1);
        const token = encodePageToken(list, left > 0 || !last ? place : placeIn(last));
        yield { nodes: some.map((node) => ({ path: node.path, entry: entryMessage(node) })), resumeToken: token };
        if (left <= 0) return;
      }
    },
    async *walkFolders({ path }) {
      for await (const runs of parts.walkFolders(await findFolder(path))) yield { runs: runs.map(runMessage) };
    },
    async findEntries({ paths }) {
      const found = [];
      for (const path of paths) {
        const node = await store.find(readPath(path));
        found.push(node ? { entry: entryMessage(node), nodes: BigInt(node.files + 1) } : {});
      }
      return { found };
    },
    async getPosition(_request, call) {
      const { files, folders, sizeBytes } = await store.totals();
      return {
        sourcePosition: BigInt(sourcePosition.value),
        position: BigInt(await head(call.signal)),
        files: BigInt(files),
        folders: BigInt(folders),
        sizeBytes: BigInt(sizeBytes),
      };
    },
    async listChanges({ after, pageSize, coalesce, path }, call) {
      const request = { after: Number(after), limit: pageSize || pageSizeDefault, coalesce, path: fullPath(path) };
      const { changes, position, hasMore } = await feed.list(request, call.signal);
      return { changes: [...changes], position: BigInt(position), hasMore };
    },
    async *watchChanges({ after, coalesce, path }, call) {
      const request = { after: Number(after), coalesce, path: fullPath(path) };
      for await (const { changes, position } of feed.watch(request, AbortSignal.any([call.signal, stopping])))
        yield { changes: [...changes], position: BigInt(position) };
      if (stopping.aborted) throw unavailable('The index is stopping', { reason: 'stopping' });
    },
    async *checkIndex({ repair }, call) {
      for await (const report of check({ repair }, call.signal)) yield checkMessage(report);
    },
    async *takeSnapshot(_request, call) {
      const taking = snapshots.take(call.signal);
      for (;;) {
        const { done, value } = await taking.next();
        if (done) {
          const total = BigInt(value.files + value.folders);
          yield { nodesDone: total, nodesTotal: total, snapshot: snapshotMessage(value) };
          return;
        }
        yield { nodesDone: BigInt(value.done), nodesTotal: BigInt(value.total) };
      }
    },
    async listSnapshots() {
      return { snapshots: (await snapshots.list()).map(snapshotMessage) };
    },
    async *restoreSnapshot({ name }, call) {
      let total = 0n;
      for await (const progress of snapshots.restore(name, call.signal)) {
        total = BigInt(progress.total);
        yield { nodesDone: BigInt(progress.done), nodesTotal: total };
      }
      yield { nodesDone: total, nodesTotal: total, done: true };
    },
    async deleteSnapshot({ name }) {
      await snapshots.delete(name);
      return {};
    },
  };
}

function placeIn({ path, isFolder }: StoredNode): string {
  return isFolder ? `${path}/` : path;
}

const orders: Readonly<Record<number, ListOrder>> = {
  [ListNodesRequest_Order.NAME]: 'name',
  [ListNodesRequest_Order.SIZE]: 'size',
  [ListNodesRequest_Order.TIME]: 'time',
};

function readListing({ order, descending }: ListNodesRequest): Listing {
  return { order: orders[order] ?? 'name', isDescending: descending };
}
