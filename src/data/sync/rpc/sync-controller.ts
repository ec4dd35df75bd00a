import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { Index } from '#gen/cellar/data/v1/index_pb.ts';
import { type Sync, SyncStatus_State } from '#gen/cellar/data/v1/sync_pb.ts';
import type { Client } from '#kernel/calls/client.ts';
import type { Implementation } from '#kernel/calls/dispatcher.ts';
import { rest } from '#lib/rest.ts';
import type { Keeper } from '../logic/keeper.ts';
import { newProgress, type PassProgress } from '../logic/pass-progress.ts';
import type { FullPasses } from '../processors/full-passes.ts';

export interface SyncParts {
  readonly keeper: Keeper;
  readonly passes: FullPasses;
  readonly index: Client<typeof Index>;
  /** Why changes by other programs are not seen at once; empty when they are. */
  readonly watchLimit: () => string;
}

/** How often progress is told. Unit: milliseconds. */
const tellMs = 500;

export function createSyncController({ keeper, passes, index, watchLimit }: SyncParts): Implementation<typeof Sync> {
  const state = (): SyncStatus_State => {
    if (keeper.blocked) return SyncStatus_State.BLOCKED;
    if (passes.lastMs === undefined) return SyncStatus_State.STARTING;
    return passes.isRunning ? SyncStatus_State.SCANNING : SyncStatus_State.WATCHING;
  };
  return {
    async getSyncStatus(_request, call) {
      const { files, folders, sizeBytes, sourcePosition } = await index.getPosition({}, { signal: call.signal });
      return {
        state: state(),
        reason: keeper.blocked ?? watchLimit(),
        ...(passes.lastMs === undefined ? {} : { lastFullPass: timestampFromMs(passes.lastMs) }),
        ...{ files, folders, sizeBytes },
        position: sourcePosition,
        skipped: BigInt(passes.last?.skipped ?? 0),
        skippedExamples: passes.last?.skippedExamples ?? [],
        notified: watchLimit() === '',
      };
    },
    async *resync({ dryRun, confirmDeletes }, call) {
      const progress = newProgress();
      const startMs = performance.now();
      const pass = passes.run({ isDryRun: dryRun, isConfirmed: confirmDeletes, signal: call.signal, progress });
      let isDone = false;
      const done = pass.then(
        () => undefined,
        () => undefined, // Thrown below, where the pass is awaited.
      );
      while (!isDone) {
        isDone = await Promise.race([done.then(() => true), rest(tellMs, call.signal).then(() => false)]);
        if (!isDone) yield progressMessage(progress, startMs, false);
      }
      await pass;
      yield progressMessage(progress, startMs, true);
    },
  };
}

function progressMessage({ seen, created, updated, moved, deleted, skipped }: PassProgress, startMs: number, done: boolean) {
  const seconds = Math.max(0.001, (performance.now() - startMs) / 1000);
  return {
    ...{ seen: BigInt(seen), created: BigInt(created), updated: BigInt(updated), deleted: BigInt(deleted) },
    ...{ moved: BigInt(moved), skipped: BigInt(skipped), done, rate: seen / seconds },
  };
}
