import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { Index } from '#gen/cellar/data/v1/index_pb.ts';
import { type Sync, SyncStatus_State, type SyncStatusSchema } from '#gen/cellar/data/v1/sync_pb.ts';
import type { Client } from '#kernel/calls/client.ts';
import type { Implementation } from '#kernel/calls/dispatcher.ts';
import { rest } from '#lib/rest.ts';
import type { Volume } from '../../volume.ts';
import type { Keeper } from '../logic/keeper.ts';
import { PassProgress } from '../logic/pass-progress.ts';
import type { Pausing } from '../logic/pausing.ts';
import type { RemoteHints } from '../logic/remote-hints.ts';
import type { DonePass, FullPasses } from '../processors/full-passes.ts';
import { blockedMessage, notificationsMessage, progressMessage, skippedMessages } from './messages.ts';

export interface SyncParts {
  readonly keeper: Keeper;
  readonly passes: FullPasses;
  readonly pausing: Pausing;
  readonly index: Client<typeof Index>;
  readonly volume: Volume;
  /** Head of the objects service's change stream. */
  readonly head: (signal: AbortSignal) => Promise<number>;
  /** Paths that notifications named and that have not been looked at. */
  readonly waiting: () => number;
  /** Why changes by other programs are not seen at once; empty when they are. */
  readonly watchLimit: () => string;
  readonly remoteHints: RemoteHints;
}

/** How often progress is told. Unit: milliseconds. */
const tellMs = 500;

export function createSyncController(parts: SyncParts): Implementation<typeof Sync> {
  const { keeper, passes, pausing, index, volume, head, waiting, watchLimit, remoteHints } = parts;

  const state = (): SyncStatus_State => {
    if (pausing.current) return SyncStatus_State.PAUSED;
    if (keeper.blocked) return SyncStatus_State.BLOCKED;
    if (!passes.last) return SyncStatus_State.STARTING;
    return passes.running ? SyncStatus_State.SCANNING : SyncStatus_State.WATCHING;
  };

  async function status(signal: AbortSignal): Promise<MessageInitShape<typeof SyncStatusSchema>> {
    const [{ files, folders, sizeBytes, sourcePosition }, source] = await Promise.all([
      index.getPosition({}, { signal }),
      lagHead(signal),
    ]);
    const { current } = pausing;
    const { blocked } = keeper;
    const { running, last } = passes;
    return {
      state: state(),
      reason: blocked?.message ?? watchLimit(),
      ...{ files, folders, sizeBytes },
      position: sourcePosition,
      notified: watchLimit() === '',
      waiting: BigInt(waiting()),
      lag: source === undefined ? 0n : BigInt(Math.max(0, source - Number(sourcePosition))),
      ...(current ? { pausedSince: timestampFromMs(current.sinceMs), pauseReason: current.reason } : {}),
      ...(blocked ? { blocked: blockedMessage(blocked) } : {}),
      ...(running ? { running: progressMessage(running) } : {}),
      ...(last ? lastMessage(last) : {}),
      ignoresCase: volume.ignoresCase,
      ignoresComposition: volume.ignoresComposition,
      ...(remoteHints.seen ? { notifications: notificationsMessage(remoteHints.seen) } : {}),
    };
  }

  /** `undefined` while the objects service is away: that is its own status. */
  async function lagHead(signal: AbortSignal): Promise<number | undefined> {
    try {
      return await head(signal);
    } catch {
      signal.throwIfAborted();
      return undefined;
    }
  }

  return {
    getSyncStatus: (_request, call) => status(call.signal),
    async *resync({ path, dryRun, confirmDeletes, limit }, call) {
      const progress = new PassProgress({ path, isDryRun: dryRun, changesMax: limit });
      const pass = passes.run(progress, { isConfirmed: confirmDeletes, signal: call.signal });
      const done = pass.then(
        () => true,
        () => true, // Thrown below, where the pass is awaited.
      );
      let told = 0;
      const message = () => {
        const changes = progress.changes.slice(told);
        told += changes.length;
        return progressMessage(progress, changes);
      };
      while (!(await Promise.race([done, rest(tellMs, call.signal).then(() => false)]))) yield message();
      await pass;
      yield message();
    },
    async pause({ reason }, call) {
      await pausing.pause(reason);
      return status(call.signal);
    },
    async resume(_request, call) {
      await pausing.resume();
      return status(call.signal);
    },
    createNotificationToken: async () => ({ token: await remoteHints.createToken() }),
    async deleteNotificationToken() {
      await remoteHints.deleteToken();
      return {};
    },
    takeNotification({ token, records }) {
      const { taken, ignored } = remoteHints.take(token, records);
      return { taken: BigInt(taken), ignored: BigInt(ignored) };
    },
  };
}

function lastMessage({ progress, endMs, durationMs }: DonePass) {
  return {
    lastFullPass: timestampFromMs(endMs),
    lastFullPassMs: BigInt(durationMs),
    skipped: BigInt(progress.skippedCount),
    skippedExamples: progress.skippedExamples,
    skippedKinds: skippedMessages(progress),
    escaped: BigInt(progress.escaped),
    escapedExamples: progress.escapedExamples,
  };
}
