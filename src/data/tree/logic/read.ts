import type { Node } from '#gen/cellar/data/v1/node_pb.ts';
import type { Call } from '#kernel/calls/call.ts';
import { Code, Fault } from '#kernel/fault.ts';
import type { Datasource } from './datasources.ts';

/** How long storage may take to say how far it is. Unit: milliseconds. */
const positionTimeoutMs = 2000;

/** An answer from the index, and whether writes that were answered before may be missing in it. */
export interface Read<T> {
  readonly value: T;
  readonly isStale: boolean;
}

/**
 * Reads from the index what covers all writes answered before the call. When storage is away or the index does not catch up, what the
 * index has, marked as stale.
 */
export async function readFresh<T>(
  { objects }: Datasource,
  call: Call,
  read: (minSourcePosition: bigint) => Promise<T>,
): Promise<Read<T>> {
  let position: bigint;
  try {
    position = (await objects.getChangePosition({}, { call, timeoutMs: positionTimeoutMs })).position;
  } catch (error) {
    if (!isAway(error, call)) throw error;
    return { value: await read(0n), isStale: true };
  }
  return readAt(call, position, read);
}

/** The same for a position that is known. */
export async function readAt<T>(call: Call, position: bigint, read: (minSourcePosition: bigint) => Promise<T>): Promise<Read<T>> {
  try {
    return { value: await read(position), isStale: false };
  } catch (error) {
    if (!(error instanceof Fault && error.reason === 'index_behind')) throw error;
    call.signal.throwIfAborted();
    return { value: await read(0n), isStale: true };
  }
}

/**
 * What is at a path after a write there. When the index is away or behind, what is known of it without the index: the write itself has
 * succeeded and must not look as if it had not.
 */
export async function nodeAfter(
  datasource: Datasource,
  call: Call,
  path: string,
  position: bigint,
  known: () => Node,
): Promise<Node> {
  try {
    return await datasource.index.getNode({ path, minSourcePosition: position }, { call });
  } catch (error) {
    const fault = Fault.from(error);
    // Not found: somebody has taken it away again meanwhile.
    if (isAway(fault, call) || fault.code === Code.NotFound) return known();
    throw fault;
  }
}

function isAway(error: unknown, call: Call): boolean {
  if (call.signal.aborted) return false;
  const { code } = Fault.from(error);
  return code === Code.Unavailable || code === Code.DeadlineExceeded;
}
