import { fromBinary } from '@bufbuild/protobuf';
import { type NodeEvent, NodeEventSchema } from '#gen/cellar/data/v1/index_pb.ts';
import { Code, exhausted, Fault } from '#kernel/fault.ts';
import type { Log } from '#kernel/log.ts';
import type { Datasource, Datasources } from './datasources.ts';

export interface WatchOptions {
  readonly datasources: Datasources;
  /** Only this one; absent: all, those that are added later too. */
  readonly only: string | undefined;
  /** By datasource, the position of the last event known; one that is not named begins now. */
  readonly from?: Readonly<Record<string, number>>;
  readonly signal: AbortSignal;
  readonly log: Log;
}

/** An event and where it is in the stream of its datasource. */
export interface WatchedEvent {
  readonly datasource: string;
  readonly position: number;
  readonly event: NodeEvent;
}

/** Events that a slow reader may be behind before it is cut off. */
const waitingMax = 20_000;

/**
 * What changes from now on, or after known positions, of several datasources in one stream.
 * Errors: `resource_exhausted` for a reader that is too slow; `out_of_range` for positions that are too old.
 */
export async function* watchNodes({ datasources, only, from = {}, signal, log }: WatchOptions): AsyncGenerator<WatchedEvent> {
  const ending = new AbortController();
  const inner = AbortSignal.any([signal, ending.signal]);
  const waiting: WatchedEvent[] = [];
  const atStart = new Set(only === undefined ? datasources.names : [only]);
  const following = new Set<string>();
  let failure: { readonly error: unknown } | undefined;
  let wake = Promise.withResolvers<void>();

  const follow = async (datasource: Datasource, after: number): Promise<void> => {
    for await (const events of datasource.events.subscribe({ after, signal: inner })) {
      for (const { payload, position } of events)
        waiting.push({ datasource: datasource.name, position, event: fromBinary(NodeEventSchema, payload) });
      if (waiting.length > waitingMax) {
        throw exhausted('Cannot watch any further: the reader is too slow', {
          reason: 'reader_too_slow',
          hint: 'List again, then watch again.',
        });
      }
      wake.resolve();
    }
  };
  const begin = async (name: string): Promise<void> => {
    if (following.has(name)) return;
    following.add(name);
    const datasource = datasources.get(name);
    // All of a datasource that is added later is new.
    const after = from[name] ?? (atStart.has(name) ? await datasource.events.head(inner) : 0);
    follow(datasource, after).catch((error: unknown) => {
      if (inner.aborted) return;
      log.debug('a watch of a datasource has ended', { datasource: name, error });
      following.delete(name);
      const isFinal = error instanceof Fault && (error.reason === 'reader_too_slow' || error.code === Code.OutOfRange);
      if (only !== undefined || isFinal) failure = { error };
      wake.resolve();
    });
  };
  /** At the root a datasource that is away is joined when the registry says that it is back. */
  const beginPatiently = (name: string): Promise<void> =>
    begin(name).catch((error: unknown) => {
      following.delete(name);
      log.debug('a datasource cannot be watched now', { datasource: name, error });
    });
  const stopWatching = datasources.watch(() => {
    if (only === undefined) for (const name of datasources.names) void beginPatiently(name);
  });
  const aborted = (): void => wake.resolve();
  signal.addEventListener('abort', aborted, { once: true });
  try {
    if (only === undefined) await Promise.all(datasources.names.map(beginPatiently));
    else await begin(only);
    while (!signal.aborted) {
      yield* waiting.splice(0);
      if (failure) throw failure.error;
      if (waiting.length === 0) await wake.promise;
      wake = Promise.withResolvers();
    }
  } finally {
    signal.removeEventListener('abort', aborted);
    stopWatching();
    ending.abort();
  }
}
