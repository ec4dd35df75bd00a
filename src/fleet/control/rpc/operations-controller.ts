import { fromBinary } from '@bufbuild/protobuf';
import { type FleetEvent, FleetEventSchema } from '#gen/cellar/fleet/v1/common_pb.ts';
import { Operations } from '#gen/cellar/fleet/v1/operations_pb.ts';
import type { Caller } from '#kernel/calls/caller.ts';
import { type Binding, implement } from '#kernel/calls/dispatcher.ts';
import { notFound } from '#kernel/fault.ts';
import { cutPage, decodePlace, pageSizeDefault } from '#kernel/paging.ts';
import type { StreamEvent, StreamSource } from '#kernel/streams/streams.ts';
import { rest } from '#lib/rest.ts';
import { isOperator } from '../logic/cluster-access.ts';
import type { ControlParts } from '../logic/control-parts.ts';
import { cancelOperation } from '../logic/operations.ts';
import type { StoredOperation } from '../store/store.ts';
import { operationMessage, readOperationState } from './messages.ts';

const list = 'operations';
const readMax = 1000;
/** How often a watched operation is looked at. */
const lookMs = 200;

interface Place {
  readonly createdMs: number;
  readonly id: string;
}

/** The stream of what happened, and where it begins. */
export interface EventFeed {
  readonly source: StreamSource;
  /** Position before the oldest event that is kept. */
  readonly oldest: () => Promise<number>;
}

export interface OperationsParts extends ControlParts {
  readonly events: EventFeed;
}

export function operationsRpc(parts: OperationsParts): Binding {
  const { store, events } = parts;

  /** Errors: `not_found`, also for an operation of somebody else. */
  async function find(id: string, caller: Caller): Promise<StoredOperation> {
    const operation = await store.operation(id);
    if (operation && isVisible(operation, caller)) return operation;
    throw notFound(`There is no operation "${id}"`, { reason: 'operation_missing' });
  }

  /** Users see what they have begun, and what was begun with a cluster while they had it. */
  const isVisible = ({ actor, about }: StoredOperation, caller: Caller): boolean =>
    isOperator(caller) || actor === caller.name || about?.owner === caller.id;

  return implement(Operations, {
    getOperation: async ({ id }, { caller }) => operationMessage(await find(id, caller)),
    async listOperations({ pageSize, pageToken, kind, name, state: wanted }, { caller }) {
      const limit = pageSize || pageSizeDefault;
      const state = readOperationState(wanted);
      const filter = { ...(kind ? { kind } : {}), ...(name ? { name } : {}), ...(state ? { state } : {}) };
      const rows = await store.operations(filter, decodePlace(list, pageToken, isPlace), limit + 1);
      const [page, nextPageToken] = cutPage(list, rows, limit, ({ createdMs, id }): Place => ({ createdMs, id }));
      return { operations: page.filter((one) => isVisible(one, caller)).map(operationMessage), nextPageToken };
    },
    async *watchOperation({ id }, { caller, signal }) {
      let last = '';
      while (!signal.aborted) {
        const operation = await find(id, caller);
        const text = JSON.stringify(operation);
        if (text !== last) yield operationMessage(operation);
        last = text;
        if (operation.state !== 'running') return;
        await rest(lookMs, signal);
      }
    },
    async cancelOperation({ id }, { caller }) {
      await find(id, caller);
      return operationMessage(await cancelOperation(parts, id, caller.name));
    },
    async *listEvents({ after, follow, host, cluster, last }, { caller, signal }) {
      const fits = (event: FleetEvent): boolean =>
        (host === '' || event.host === host) &&
        (cluster === '' || event.cluster === cluster) &&
        (isOperator(caller) || event.owner === caller.id);
      // Whoever was cut off goes on there, however many it asked for at first.
      const head = await events.source.head(signal);
      const from = last > 0 && after === 0n ? await placeOfLast(events, last, head, fits, signal) : Number(after);
      yield* watchEvents(events, { after: from, until: follow ? undefined : head }, fits, signal);
    },
  });
}

/** The last so many events of a cluster, oldest first; `owner`: of the time in which it was theirs. */
export async function* lastEvents(
  feed: EventFeed,
  cluster: string,
  last: number,
  owner: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<FleetEvent> {
  const fits = (event: FleetEvent): boolean => event.cluster === cluster && (owner === undefined || event.owner === owner);
  const head = await feed.source.head(signal);
  const after = await placeOfLast(feed, last, head, fits, signal);
  yield* watchEvents(feed, { after, until: head }, fits, signal);
}

/** The position before the last so many events up to `head` that fit. */
async function placeOfLast(
  { source, oldest }: EventFeed,
  count: number,
  head: number,
  fits: (event: FleetEvent) => boolean,
  signal: AbortSignal,
): Promise<number> {
  const first = await oldest();
  let left = count;
  for (let end = head; end > first; ) {
    const start = Math.max(first, end - readMax);
    const piece = (await source.read(start, end - start, signal)).map(decode).filter(fits);
    if (piece.length >= left) return Number(piece.at(-left)?.position ?? start) - 1;
    left -= piece.length;
    end = start;
  }
  return first;
}

/** Events after a position, oldest first, with their place and time, up to `until`; without it those still to come too. */
export async function* watchEvents(
  { source, oldest }: EventFeed,
  { after, until }: { readonly after: number; readonly until?: number | undefined },
  fits: (event: FleetEvent) => boolean,
  signal: AbortSignal,
): AsyncGenerator<FleetEvent> {
  let at = Math.max(after, await oldest());
  if (until === undefined) {
    for await (const events of source.subscribe({ after: at, signal }))
      for (const event of events.map(decode)) if (fits(event)) yield event;
    return;
  }
  while (at < until) {
    const events = await source.read(at, Math.min(readMax, until - at), signal);
    for (const event of events.map(decode)) if (fits(event)) yield event;
    at = events.at(-1)?.position ?? until;
  }
}

function decode({ payload, position }: StreamEvent): FleetEvent {
  return { ...fromBinary(FleetEventSchema, payload), position: BigInt(position) };
}

function isPlace(place: unknown): place is Place {
  const { createdMs, id } = Object(place) as Readonly<Record<string, unknown>>;
  return typeof createdMs === 'number' && typeof id === 'string';
}
