import { fromBinary } from '@bufbuild/protobuf';
import { type ObjectChange, ObjectChange_Kind, ObjectChangeSchema } from '#gen/cellar/data/v1/objects_pb.ts';
import { Code, Fault } from '#kernel/fault.ts';
import type { Log } from '#kernel/log.ts';
import type { StreamEvent, StreamSource } from '#kernel/streams/streams.ts';
import { backoffMs } from '#lib/backoff.ts';
import { rest } from '#lib/rest.ts';
import type { DatasourcePlan } from '../../plan.ts';
import type { Hints } from '../logic/hints.ts';
import type { EtagHint } from '../logic/index-messages.ts';
import type { Keeper } from '../logic/keeper.ts';
import { pathOfKey } from '../logic/path-of-key.ts';

export interface ObjectChangesOptions {
  readonly source: StreamSource;
  readonly plan: Pick<DatasourcePlan, 'datasource' | 'kind'>;
  readonly keeper: Pick<Keeper, 'examine' | 'cover'>;
  /** The position the index covers: the consumer's cursor, kept beside its effects. */
  readonly covered: () => Promise<number>;
  /** Is told how far the index covers them. */
  readonly onReached: (position: number) => void;
  /** Resolves when a full pass that began after the call is done. */
  readonly fullPass: (signal: AbortSignal) => Promise<void>;
  readonly log: Log;
  readonly signal: AbortSignal;
}

const backoff = { firstMs: 20, maxMs: 2000 };

/** Follows what the objects service writes, so that a write is in the index moments after it was acknowledged. Runs until the signal fires. */
export async function followObjectChanges(options: ObjectChangesOptions): Promise<void> {
  const { source, keeper, plan, covered, onReached, log, signal } = options;
  let failures = 0;
  let last = 0;
  while (!signal.aborted) {
    try {
      const after = await covered();
      // The index has gone back: it was restored or made anew, and may lack what other programs wrote.
      if (after < last) await options.fullPass(signal);
      last = after;
      onReached(last);
      for await (const events of source.subscribe({ after, signal })) {
        await keeper.examine(readHints(events, plan));
        last = events.at(-1)?.position ?? last;
        onReached(last);
        failures = 0;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (isLost(error)) last = await beginAnew(options).catch(() => last);
      else if (failures === 0) log.warn('changes by the objects service cannot be followed now', { error });
      failures += 1;
    }
    if (!signal.aborted) await rest(backoffMs(backoff, Math.max(1, failures)), signal);
  }
}

/** After events were lost: everything up to now is found by comparing. */
async function beginAnew({ source, keeper, fullPass, log, signal }: ObjectChangesOptions): Promise<number> {
  log.warn('the change stream does not reach back far enough; comparing everything instead');
  const head = await source.head(signal);
  await fullPass(signal);
  await keeper.cover(head);
  return head;
}

function isLost(error: unknown): boolean {
  return error instanceof Fault && error.code === Code.OutOfRange;
}

/** What events of the change stream say of the tree. Keys that no file can have are in no tree. */
export function readHints(events: readonly StreamEvent[], plan: Pick<DatasourcePlan, 'datasource' | 'kind'>): Hints {
  const paths = new Set<string>();
  const etags = new Map<string, EtagHint>();
  const moves: { path: string; newPath: string }[] = [];
  for (const { key: bucket, payload } of events) {
    if (plan.kind !== 'buckets' && bucket !== plan.datasource) continue;
    const change = fromBinary(ObjectChangeSchema, payload);
    if (change.hidden) continue;
    const isMove = change.kind === ObjectChange_Kind.MOVE;
    const path = pathOfKey(bucket, change.key, plan);
    const newPath = isMove ? pathOfKey(bucket, change.newKey, plan) : undefined;
    if (path !== undefined) paths.add(path);
    if (newPath !== undefined) paths.add(newPath);
    if (path && newPath) moves.push({ path, newPath });
    if (path !== undefined && change.kind === ObjectChange_Kind.PUT) etags.set(path, etagHint(change));
    if (newPath !== undefined && !change.newKey.endsWith('/')) etags.set(newPath, etagHint(change));
  }
  const position = events.at(-1)?.position;
  return { paths, etags, moves, isTrusted: true, ...(position === undefined ? {} : { position }) };
}

function etagHint({ etag, sizeBytes, modifyTimeNs }: ObjectChange): EtagHint {
  return { etag, sizeBytes: Number(sizeBytes), mtimeMs: Number(modifyTimeNs / 1_000_000n) };
}
