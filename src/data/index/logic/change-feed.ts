import { create, fromBinary } from '@bufbuild/protobuf';
import { type NodeEvent, NodeEvent_Kind, NodeEventSchema } from '#gen/cellar/data/v1/index_pb.ts';
import { Code, Fault } from '#kernel/fault.ts';
import type { StreamEvent, StreamSource } from '#kernel/streams/streams.ts';
import { isWithin } from '#lib/tree-path.ts';
import { coalesce } from './coalesce.ts';

export interface FeedRequest {
  readonly after: number;
  /** Only of what is here and below, from the datasource's name on; its name alone is everything. */
  readonly path: string;
  readonly coalesce: boolean;
}

export interface FeedPage {
  readonly changes: readonly NodeEvent[];
  /** Of the last event that was looked at. */
  readonly position: number;
}

export interface ChangeFeed {
  /** Errors: `out_of_range` with reason `position_too_old` or `position_unknown`. */
  list(request: FeedRequest & { readonly limit: number }, signal: AbortSignal): Promise<FeedPage & { readonly hasMore: boolean }>;
  /** Ends with the signal. Errors: those of `list`. */
  watch(request: FeedRequest, signal: AbortSignal): AsyncIterable<FeedPage>;
}

/** The event stream of an index for those that keep a copy of the tree. */
export function createChangeFeed(stream: StreamSource): ChangeFeed {
  return {
    async list(request, signal) {
      const events = await stream.read(request.after, request.limit + 1, signal).catch(startOver);
      const page = events.slice(0, request.limit);
      return { ...feedPage(page, request), hasMore: events.length > page.length };
    },
    async *watch(request, signal) {
      try {
        for await (const events of stream.subscribe({ after: request.after, signal })) yield feedPage(events, request);
      } catch (error) {
        startOver(error);
      }
    },
  };
}

function feedPage(events: readonly StreamEvent[], { after, path, coalesce: isCoalesced }: FeedRequest): FeedPage {
  const changes = events
    .map(({ payload, position }) =>
      create(NodeEventSchema, { ...fromBinary(NodeEventSchema, payload), position: BigInt(position) }),
    )
    .filter((event) => concerns(event, path));
  return { changes: isCoalesced ? coalesce(changes) : changes, position: events.at(-1)?.position ?? after };
}

/** True for an event of what is at a path and below, and for one of a folder around it that takes it along. */
export function concerns({ kind, node, oldPath }: NodeEvent, path: string): boolean {
  if (!node || kind === NodeEvent_Kind.RESET) return true;
  const ends = oldPath === '' ? [node.path] : [node.path, oldPath];
  if (ends.some((end) => isWithin(end, path))) return true;
  const takesAlong = kind === NodeEvent_Kind.DELETED || kind === NodeEvent_Kind.MOVED || kind === NodeEvent_Kind.COPIED;
  return takesAlong && ends.some((end) => isWithin(path, end));
}

function startOver(error: unknown): never {
  if (!(error instanceof Fault) || error.code !== Code.OutOfRange) throw error;
  const isTrimmed = error.reason === 'stream_trimmed';
  throw new Fault(
    Code.OutOfRange,
    isTrimmed ? 'Changes after this position are gone already' : 'The changes end before this position',
    {
      reason: isTrimmed ? 'position_too_old' : 'position_unknown',
      hint: 'Start over: ask for the position, read the whole tree, then go on from that position.',
      cause: error,
    },
  );
}
