import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import {
  ResyncChange_Kind,
  ResyncProgress_Phase,
  type ResyncProgressSchema,
  type SyncStatus_BlockedSchema,
  type SyncStatus_NotificationsSchema,
  SyncStatus_Skipped_Kind,
  type SyncStatus_SkippedSchema,
} from '#gen/cellar/data/v1/sync_pb.ts';
import type { Fault } from '#kernel/fault.ts';
import type { FoundChange, PassProgress } from '../logic/pass-progress.ts';
import type { SeenHints } from '../logic/remote-hints.ts';

const phases = {
  waiting: ResyncProgress_Phase.WAITING,
  comparing: ResyncProgress_Phase.COMPARING,
  deleting: ResyncProgress_Phase.DELETING,
  done: ResyncProgress_Phase.DONE,
} as const;

const kinds = {
  create: ResyncChange_Kind.CREATE,
  update: ResyncChange_Kind.UPDATE,
  delete: ResyncChange_Kind.DELETE,
  move: ResyncChange_Kind.MOVE,
} as const;

const skips = {
  link: SyncStatus_Skipped_Kind.LINK,
  special: SyncStatus_Skipped_Kind.SPECIAL,
  unreadable: SyncStatus_Skipped_Kind.UNREADABLE,
  'too-long': SyncStatus_Skipped_Kind.TOO_LONG,
  loop: SyncStatus_Skipped_Kind.LOOP,
  'mount-away': SyncStatus_Skipped_Kind.MOUNT_AWAY,
  'same-name': SyncStatus_Skipped_Kind.SAME_NAME,
  'no-path': SyncStatus_Skipped_Kind.NO_PATH,
} as const;

/** `changes` are those that have not been told. */
export function progressMessage(
  progress: PassProgress,
  changes: readonly FoundChange[] = [],
): MessageInitShape<typeof ResyncProgressSchema> {
  const { seen, created, updated, moved, deleted, expected, remainingSeconds, phase, rate, currentPath, path, isDryRun } =
    progress;
  return {
    ...{ seen: BigInt(seen), created: BigInt(created), updated: BigInt(updated), deleted: BigInt(deleted) },
    ...{ moved: BigInt(moved), skipped: BigInt(progress.skippedCount), expected: BigInt(expected) },
    ...(remainingSeconds === undefined ? {} : { remainingSeconds }),
    ...{ done: phase === 'done', phase: phases[phase], rate, currentPath, path, dryRun: isDryRun },
    changes: changes.map(({ kind, path: at, newPath = '', isFolder, nodes }) => ({
      ...{ kind: kinds[kind], path: at, newPath, isFolder, nodes: BigInt(nodes) },
    })),
  };
}

export function skippedMessages({ skipped }: PassProgress): MessageInitShape<typeof SyncStatus_SkippedSchema>[] {
  return [...skipped].map(([reason, count]) => ({ kind: skips[reason], count: BigInt(count) }));
}

export function blockedMessage({ reason, hint = '', details }: Fault): MessageInitShape<typeof SyncStatus_BlockedSchema> {
  const { deletes = '0', total = '0', examples = '' } = details;
  return { reason, hint, deletes: BigInt(deletes), total: BigInt(total), examples: examples === '' ? [] : examples.split('\n') };
}

export function notificationsMessage({
  lastMs,
  taken,
  ignored,
}: SeenHints): MessageInitShape<typeof SyncStatus_NotificationsSchema> {
  return {
    ...{ taken: BigInt(taken), ignored: BigInt(ignored) },
    ...(lastMs === undefined ? {} : { lastTime: timestampFromMs(lastMs) }),
  };
}
