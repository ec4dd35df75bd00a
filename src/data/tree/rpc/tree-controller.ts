import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { anyPack, timestampFromMs } from '@bufbuild/protobuf/wkt';
import { ListNodesRequest_Order, type NodeEvent, NodeEvent_Kind } from '#gen/cellar/data/v1/index_pb.ts';
import { type Node, Node_Kind, NodeSchema } from '#gen/cellar/data/v1/node_pb.ts';
import type { ObjectInfo, PutObjectRequestSchema } from '#gen/cellar/data/v1/objects_pb.ts';
import type { Tree, UploadRequest } from '#gen/cellar/data/v1/tree_pb.ts';
import { ContentInfoSchema } from '#gen/cellar/kernel/v1/content_pb.ts';
import type { Call } from '#kernel/calls/call.ts';
import type { Implementation } from '#kernel/calls/dispatcher.ts';
import { alreadyExists, Code, Fault, invalidArgument, unavailable } from '#kernel/fault.ts';
import type { Extent, Guard } from '#kernel/guard/guard.ts';
import type { Log } from '#kernel/log.ts';
import { isWithin, nameOf } from '#lib/tree-path.ts';
import { readCursor, writeCursor } from '../logic/cursor.ts';
import type { Datasource, Datasources } from '../logic/datasources.ts';
import { deleteAt, makeFolderAt } from '../logic/folders.ts';
import { filePlace, type ObjectPlace, objectPlace } from '../logic/object-place.ts';
import { formatPath, type Place, parsePath } from '../logic/path.ts';
import { nodeAfter, readAt, readFresh } from '../logic/read.ts';
import { copyAcross } from '../logic/transfer.ts';
import { visibleEvent } from '../logic/visible-event.ts';
import { watchNodes } from '../logic/watch.ts';

export interface TreeParts {
  readonly datasources: Datasources;
  readonly guard: Pick<Guard, 'assertAllowed'>;
  readonly log: Log;
  /** Ends watches, so that none holds up the service's stop. */
  readonly stopping: AbortSignal;
}

/** A place with the services behind it. */
interface Found extends Place {
  readonly datasource: string;
  readonly services: Datasource;
}

type Action = 'data:read' | 'data:write';

/** Content types that senders set when they know nothing better: the name says more. */
const vagueTypes = new Set(['', 'application/octet-stream', 'application/x-www-form-urlencoded']);

export function createTreeController({ datasources, guard, log, stopping }: TreeParts): Implementation<typeof Tree> {
  /** Finds a place after asking whether the caller may: a stranger does not learn what there is. */
  async function find(call: Call, path: string, action: Action): Promise<Found | undefined> {
    const place = parsePath(path);
    if (!place) return undefined;
    await guard.assertAllowed(call.caller, action, `data/${path}`, call.signal);
    return { ...place, services: datasources.get(place.datasource) };
  }

  async function findEntry(call: Call, path: string, action: Action): Promise<Found> {
    const found = await find(call, path, action);
    if (found && found.path !== '') return found;
    throw invalidArgument(
      `Cannot use ${JSON.stringify(path)} here: a datasource as a whole is neither read nor changed this way`,
      {
        reason: 'invalid_path',
        hint: 'Name something in it. Datasources are added and removed by their own commands.',
      },
    );
  }

  async function mayRead(call: Call, path: string, extent: Extent = 'itself'): Promise<boolean> {
    try {
      await guard.assertAllowed(call.caller, 'data:read', `data/${path}`, call.signal, extent);
      return true;
    } catch (error) {
      if (isDenied(error)) return false;
      throw error;
    }
  }

  async function readableDatasources(call: Call): Promise<string[]> {
    const { names } = datasources;
    const readable = await Promise.all(names.map((name) => mayRead(call, name)));
    return names.filter((_, at) => readable[at]);
  }

  /** The datasources as nodes; of one that does not answer now only the name. */
  async function listRoot(call: Call): Promise<{ nodes: Node[]; stale: boolean }> {
    const reads = await Promise.all(
      (await readableDatasources(call)).map(async (name) => {
        try {
          const { index } = datasources.get(name);
          return { value: await index.getNode({ path: '' }, { call, timeoutMs: 2000 }), isStale: false };
        } catch (error) {
          call.signal.throwIfAborted();
          log.debug('a datasource does not answer', { datasource: name, error });
          return { value: folderNode(name), isStale: true };
        }
      }),
    );
    return { nodes: reads.map(({ value }) => value), stale: reads.some(({ isStale }) => isStale) };
  }

  async function statIn(call: Call, { services, path }: Found): Promise<Node> {
    const read = (minSourcePosition: bigint) => services.index.getNode({ path, minSourcePosition }, { call });
    const { value, isStale } = await readFresh(services, call, read);
    return isStale ? { ...value, stale: true } : value;
  }

  /** Those of a folder's children that the caller may know of; one question when it is all. */
  async function readableNodes(call: Call, folder: string, nodes: Node[]): Promise<Node[]> {
    if (nodes.length === 0 || (await mayRead(call, folder, 'with_all_below'))) return nodes;
    const readable = await Promise.all(nodes.map(({ path }) => mayRead(call, path)));
    return nodes.filter((_, at) => readable[at]);
  }

  /** An event as the caller may know it. What happened to the whole tree is told to whoever watches a part. */
  async function told(call: Call, event: NodeEvent, path: string): Promise<NodeEvent | undefined> {
    if (event.kind === NodeEvent_Kind.RESET) return (await mayRead(call, path)) ? event : undefined;
    const seen = await visibleEvent(event, (at) => mayRead(call, at));
    const isThere = seen && [seen.node?.path ?? '', seen.oldPath].some((at) => at !== '' && isWithin(at, path));
    return isThere ? seen : undefined;
  }

  /** A folder goes with all in it: whoever takes `from` along must be allowed that at both ends. Of a file its own path was asked. */
  async function assertWhole(call: Call, from: Found, asked: readonly (readonly [Found, Action])[]): Promise<void> {
    try {
      for (const [place, action] of asked)
        await guard.assertAllowed(call.caller, action, `data/${formatPath(place)}`, call.signal, 'with_all_below');
    } catch (error) {
      if (!isDenied(error) || (await statIn(call, from)).kind !== Node_Kind.FILE) throw error;
    }
  }

  return {
    async stat({ path }, call) {
      const found = await find(call, path, 'data:read');
      if (found) return statIn(call, found);
      const { nodes, stale } = await listRoot(call);
      const sum = (of: (node: Node) => bigint): bigint => nodes.reduce((total, node) => total + of(node), 0n);
      return { ...folderNode(''), stale, sizeBytes: sum((node) => node.sizeBytes), files: sum((node) => node.files) };
    },

    async list({ path, pageSize, pageToken, order, descending }, call) {
      const found = await find(call, path, 'data:read');
      if (!found) {
        const root = await listRoot(call);
        return { nodes: sortRoot(root.nodes, order, descending), stale: root.stale };
      }
      const { value, isStale } = await readFresh(found.services, call, (minSourcePosition) =>
        found.services.index.listNodes({ path: found.path, pageSize, pageToken, order, descending, minSourcePosition }, { call }),
      );
      return { nodes: await readableNodes(call, path, value.nodes), nextPageToken: value.nextPageToken, stale: isStale };
    },

    async makeFolder({ path }, call) {
      const { services, path: key } = await findEntry(call, path, 'data:write');
      const position = await asExisting(path, makeFolderAt(call, services, key));
      return nodeAfter(services, call, key, position, () => folderNode(path));
    },

    async upload(requests, call) {
      const iterator = requests[Symbol.asyncIterator]();
      try {
        const first = await iterator.next();
        if (first.done) throw invalidArgument('Cannot upload: nothing came, not even a path', { reason: 'path_missing' });
        const { path } = first.value;
        const { services, path: key } = await findEntry(call, path, 'data:write');
        const info = await services.objects.putObject(putRequests(filePlace(services, key), first.value, iterator), { call });
        return await nodeAfter(services, call, key, info.position, () => fileNode(path, info));
      } finally {
        await iterator.return?.();
      }
    },

    async *download({ path, firstByte, length, suffixLength }, call) {
      const { services, path: key } = await findEntry(call, path, 'data:read');
      const request = { ...filePlace(services, key), firstByte, length, suffixLength };
      for await (const piece of services.objects.getObject(request, { call })) {
        const { info, data } = piece;
        if (!info) {
          yield { data };
          continue;
        }
        const { sizeBytes, etag, modifyTimeNs, contentType } = info;
        const content = create(ContentInfoSchema, {
          ...{ sizeBytes, etag, modifyTime: timestampFromMs(Number(modifyTimeNs / 1_000_000n)) },
          ...{ firstByte: piece.firstByte, length: piece.length },
        });
        yield { contentType, data, extensions: [anyPack(ContentInfoSchema, content)] };
      }
    },

    async move({ path, target, overwrite }, call) {
      const from = await findEntry(call, path, 'data:write');
      await guard.assertAllowed(call.caller, 'data:read', `data/${path}`, call.signal);
      const to = await findEntry(call, target, 'data:write');
      await assertWhole(call, from, [
        [from, 'data:read'],
        [from, 'data:write'],
        [to, 'data:write'],
      ]);
      const inBucket = withinBucket(from, to);
      if (inBucket) {
        const { position } = await from.services.objects.movePath({ ...inBucket, overwrite }, { call });
        return nodeAfter(to.services, call, to.path, position, () => create(NodeSchema, { path: target, name: nameOf(target) }));
      }
      const node = await copyBetween(call, from, to, overwrite);
      // Only after all of it is there and durable.
      await deleteAt(call, from.services, from.path, true);
      return node;
    },

    async copy({ path, target, overwrite }, call) {
      const from = await findEntry(call, path, 'data:read');
      const to = await findEntry(call, target, 'data:write');
      await assertWhole(call, from, [
        [from, 'data:read'],
        [to, 'data:write'],
      ]);
      const inBucket = withinBucket(from, to);
      if (!inBucket) return copyBetween(call, from, to, overwrite);
      const { position } = await from.services.objects.copyPath({ ...inBucket, overwrite }, { call });
      return nodeAfter(to.services, call, to.path, position, () => create(NodeSchema, { path: target, name: nameOf(target) }));
    },

    async delete({ path, recursive }, call) {
      const found = await findEntry(call, path, 'data:write');
      const { services, path: key } = found;
      if (recursive) await assertWhole(call, found, [[found, 'data:write']]);
      const position = await deleteAt(call, services, key, recursive);
      // The next listing waits anyway; this is for those who ask the index itself.
      await readAt(call, position, (minSourcePosition) =>
        services.index.getNode({ path: '', minSourcePosition }, { call }),
      ).catch((error: unknown) => log.debug('the index could not be asked after a deletion', { error }));
      return {};
    },

    async listChanges({ path, after, pageSize, coalesce }, call) {
      const found = await find(call, path, 'data:read');
      if (!found) throw invalidArgument('Cannot list changes of all datasources: ask for each', { reason: 'invalid_path' });
      const { index } = found.services;
      if (after === undefined) return { position: (await index.getPosition({}, { call })).position };
      const page = await index.listChanges({ after, pageSize, coalesce, path: found.path }, { call });
      const seen = await Promise.all(page.changes.map((event) => told(call, event, path)));
      return { changes: seen.filter((event) => event !== undefined), position: page.position, hasMore: page.hasMore };
    },

    async *watch({ path, from }, call) {
      const found = await find(call, path, 'data:read');
      const signal = AbortSignal.any([call.signal, stopping]);
      const positions = { ...readCursor(from) };
      for await (const one of watchNodes({ datasources, only: found?.datasource, from: positions, signal, log })) {
        positions[one.datasource] = one.position;
        const event = await told(call, one.event, path);
        if (event) yield { event, cursor: writeCursor(positions) };
      }
      if (stopping.aborted)
        throw unavailable('The tree service is stopping', { reason: 'stopping', hint: 'Watch again in a moment.' });
    },
  };

  async function copyBetween(call: Call, from: Found, to: Found, isOverwriting: boolean): Promise<Node> {
    if (from.datasource === to.datasource && isWithin(to.path, from.path)) {
      throw invalidArgument(`Cannot put ${JSON.stringify(formatPath(from))} into itself`, { reason: 'into_itself' });
    }
    // Content is read by what the index knows of it, so the index has to know what was written before.
    await statIn(call, from);
    const position = await copyAcross(
      call,
      { datasource: from.services, path: from.path },
      { datasource: to.services, path: to.path },
      isOverwriting,
    );
    return nodeAfter(to.services, call, to.path, position, () =>
      create(NodeSchema, { path: formatPath(to), name: nameOf(to.path) }),
    );
  }
}

/** What storage is asked to move or copy a path within one bucket; undefined when it lies in two, or is one. */
function withinBucket(from: Found, to: Found): { bucket: string; key: string; newKey: string } | undefined {
  if (from.datasource !== to.datasource) return undefined;
  const [source, target] = [objectPlace(from.services, from.path), objectPlace(to.services, to.path)];
  if (source.bucket !== target.bucket || source.key === '' || target.key === '') return undefined;
  return { bucket: source.bucket, key: source.key, newKey: target.key };
}

async function* putRequests(
  place: ObjectPlace,
  first: UploadRequest,
  rest: AsyncIterator<UploadRequest>,
): AsyncGenerator<MessageInitShape<typeof PutObjectRequestSchema>> {
  const { content, ifAbsent, ifEtag, sizeBytes } = first;
  const contentType = content && !vagueTypes.has(content.contentType.toLowerCase()) ? content.contentType : '';
  yield { target: { ...place, contentType, ifAbsent, ifEtag, ...(sizeBytes === undefined ? {} : { sizeBytes }) } };
  if (content && content.data.length > 0) yield { data: content.data };
  for (let next = await rest.next(); !next.done; next = await rest.next()) {
    const data = next.value.content?.data;
    if (data && data.length > 0) yield { data };
  }
}

/** A file in the place of a folder to be made is `already_exists`, as the contract says. */
async function asExisting<T>(path: string, made: Promise<T>): Promise<T> {
  try {
    return await made;
  } catch (error) {
    if (error instanceof Fault && error.reason === 'key_conflict') {
      throw alreadyExists(`Cannot make folder ${JSON.stringify(path)}: there is a file of that name, or on the way to it`, {
        reason: 'file_exists',
        cause: error,
      });
    }
    throw error;
  }
}

function isDenied(error: unknown): boolean {
  return error instanceof Fault && (error.code === Code.PermissionDenied || error.code === Code.Unauthenticated);
}

function folderNode(path: string): Node {
  return create(NodeSchema, { path, name: nameOf(path), kind: Node_Kind.FOLDER });
}

function fileNode(path: string, { sizeBytes, etag, contentType, modifyTimeNs }: ObjectInfo): Node {
  return create(NodeSchema, {
    ...{ path, name: nameOf(path), kind: Node_Kind.FILE, sizeBytes, etag, contentType },
    modifyTime: timestampFromMs(Number(modifyTimeNs / 1_000_000n)),
  });
}

/** There are few datasources, so they are sorted here and are one page. */
function sortRoot(nodes: readonly Node[], order: ListNodesRequest_Order, isDescending: boolean): Node[] {
  const time = ({ modifyTime }: Node): number => Number(modifyTime?.seconds ?? 0n);
  const compare = (a: Node, b: Node): number => {
    if (order === ListNodesRequest_Order.SIZE && a.sizeBytes !== b.sizeBytes) return a.sizeBytes < b.sizeBytes ? -1 : 1;
    if (order === ListNodesRequest_Order.TIME && time(a) !== time(b)) return time(a) - time(b);
    return a.name < b.name ? -1 : 1;
  };
  const sorted = nodes.toSorted(compare);
  return isDescending ? sorted.reverse() : sorted;
}
