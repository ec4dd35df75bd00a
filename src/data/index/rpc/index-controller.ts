import { type Index, type ListNodesRequest, ListNodesRequest_Order } from '#gen/cellar/data/v1/index_pb.ts';
import type { Implementation } from '#kernel/calls/dispatcher.ts';
import { Code, Fault, failedPrecondition, notFound } from '#kernel/fault.ts';
import { cutPage, decodePlace } from '#kernel/paging.ts';
import type { ApplyChanges } from '../logic/apply-changes.ts';
import { isListPlace, type Listing, listingName } from '../logic/listing.ts';
import type { SourcePosition } from '../logic/source-position.ts';
import type { FolderRun } from '../store/folder-runs.ts';
import { placeOf } from '../store/sql.ts';
import type { ListOrder, StoredNode, TreeStore } from '../store/store.ts';
import { entryMessage, type Naming, nodeMessage, readChange, readPath, runMessage } from './messages.ts';

export interface IndexParts {
  readonly store: TreeStore;
  readonly naming: Naming;
  readonly sourcePosition: SourcePosition;
  readonly apply: ApplyChanges;
  readonly walkFolders: (top: StoredNode) => AsyncIterable<readonly FolderRun[]>;
  /** Head of the event stream. */
  readonly head: (signal: AbortSignal) => Promise<number>;
}

const pageSizeDefault = 1000;

export function createIndexController(parts: IndexParts): Implementation<typeof Index> {
  const { store, naming, sourcePosition, apply, head } = parts;

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

  return {
    async applyChanges({ changes, sourcePosition: position }, call) {
      const covered = position === undefined ? undefined : Number(position);
      const { events, position: at } = await apply(changes.map(readChange), covered, call.signal);
      const count = (...of: string[]): bigint => BigInt(events.filter(({ kind }) => of.includes(kind)).length);
      return {
        created: count('created'),
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
    async *walkNodes({ path }) {
      for await (const nodes of store.walk(await findFolder(path)))
        yield { nodes: nodes.map((node) => ({ path: node.path, entry: entryMessage(node) })) };
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
    listChanges: () => notYet(),
    watchChanges: () => notYet(),
    checkIndex: () => notYet(),
    takeSnapshot: () => notYet(),
    listSnapshots: () => notYet(),
    restoreSnapshot: () => notYet(),
    deleteSnapshot: () => notYet(),
  };
}

function notYet(): never {
  throw new Fault(Code.Unimplemented, 'This part of the index is being built');
}

const orders: Readonly<Record<number, ListOrder>> = {
  [ListNodesRequest_Order.NAME]: 'name',
  [ListNodesRequest_Order.SIZE]: 'size',
  [ListNodesRequest_Order.TIME]: 'time',
};

function readListing({ order, descending }: ListNodesRequest): Listing {
  return { order: orders[order] ?? 'name', isDescending: descending };
}
