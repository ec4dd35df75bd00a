import { fromBinary } from '@bufbuild/protobuf';
import { type ObjectChange, ObjectChange_Kind, ObjectChangeSchema } from '#gen/cellar/data/v1/objects_pb.ts';
import { Code, Fault } from '#kernel/fault.ts';
import type { Log } from '#kernel/log.ts';
import type { StreamEvent, StreamSource } from '#kernel/streams/streams.ts';
import { backoffMs } from '#lib/backoff.ts';
import { rest } from '#lib/rest.ts';
import type { Hints } from '../logic/hints.ts';
import type { EtagHint } from '../logic/index-messages.ts';
import type { Keeper } from '../logic/keeper.ts';

export interface ObjectChangesOptions {
  readonly source: StreamSource;
  readonly bucket: string;
  readonly keeper: Keeper;
  /** The position the index covers: the consumer's cursor, kept beside its effects. */
  readonly covered: () => Promise<number>;
  /** Resolves when a full pass that began after the call is done. */
  readonly fullPass: (signal: AbortSignal) => Promise<void>;
  readonly log: Log;
  readonly signal: AbortSignal;
}

const backoff = { firstMs: 20, maxMs: 2000 };

/** Follows what the objects service writes, so that a write is in the index moments after it was acknowledged. Runs until the signal fires. */
export async function followObjectChanges(options: ObjectChangesOptions): Promise<void> {
  const { source, keeper, bucket, covered, log, signal } = options;
  let failures = 0;
  let last = 0;
  while (!signal.aborted) {
    try {
      const after = await covered();
      // The index has gone back: it was restored or made anew, and may lack what other programs wrote.
      if (after < last) await options.fullPass(signal);
      last = after;
      for await (const events of source.subscribe({ after, signal })) {
        await keeper.examine(readHints(events, bucket));
        last = events.at(-1)?.position ?? last;
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

function readHints(events: readonly StreamEvent[], bucket: string): Hints {
  const paths = new Set<string>();
  const etags = new Map<string, EtagHint>();
  const moves: { path: string; newPath: string }[] = [];
  for (const { key, payload } of events) {
    if (key !== bucket) continue;
    const change = fromBinary(ObjectChangeSchema, payload);
    const path = withoutSlash(change.key);
    paths.add(path);
    if (change.kind === ObjectChange_Kind.PUT) etags.set(path, etagHint(change));
    if (change.kind !== ObjectChange_Kind.MOVE) continue;
    const newPath = withoutSlash(change.newKey);
    paths.add(newPath);
    moves.push({ path, newPath });
    if (!change.newKey.endsWith('/')) etags.set(newPath, etagHint(change));
  }
  const position = events.at(-1)?.position;
  return { paths, etags, moves, isTrusted: true, ...(position === undefined ? {} : { position }) };
}

function etagHint({ etag, sizeBytes, modifyTimeNs }: ObjectChange): EtagHint {
  return { etag, sizeBytes: Number(sizeBytes), mtimeMs: Number(modifyTimeNs / 1_000_000n) };
}

function withoutSlash(key: string): string {
  return key.endsWith('/') ? key.slice(0, -1) : key;
}
