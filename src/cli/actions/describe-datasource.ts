import { type Datasource, Datasource_KindSchema } from '#gen/cellar/data/v1/datasources_pb.ts';
import { SyncStatus_Skipped_KindSchema, SyncStatus_State, SyncStatus_StateSchema } from '#gen/cellar/data/v1/sync_pb.ts';
import { enumWord, formatAge, formatBytes, formatCount, formatTime } from '../output/format.ts';
import type { Style } from '../output/style.ts';
import { formatFields } from '../output/table.ts';

/** Where its files lie: a folder, or an address. */
export function placeOf({ folder, remote }: Datasource): string {
  return remote ? `${remote.endpoint}/${remote.bucket}/${remote.prefix}` : folder;
}

export function stateWord({ sync }: Datasource): string {
  return sync ? enumWord(SyncStatus_StateSchema, sync.state) : 'not answering';
}

/** All there is to say of one, line by line. */
export function describeDatasource(datasource: Datasource, style: Style, nowMs: number): string {
  const { name, kind, objectsService, remote, sync } = datasource;
  const fields: Record<string, string> = {
    name,
    kind: enumWord(Datasource_KindSchema, kind),
    [remote ? 'address' : 'folder']: placeOf(datasource),
    'served by': objectsService,
    state: stateWord(datasource) + (sync?.reason ? `: ${sync.reason}` : ''),
  };
  if (!sync) return formatFields(fields, style);
  const { files, folders, sizeBytes, lastFullPass, pausedSince, pauseReason, blocked, running, skipped, skippedKinds } = sync;
  const isPaused = sync.state === SyncStatus_State.PAUSED;
  const skippedWords = skippedKinds.map(
    (one) => `${formatCount(one.count)} ${enumWord(SyncStatus_Skipped_KindSchema, one.kind).replaceAll('_', ' ')}`,
  );
  return formatFields(
    {
      ...fields,
      ...(isPaused ? { paused: `${formatAge(pausedSince, nowMs)}${pauseReason ? ` (${pauseReason})` : ''}` } : {}),
      ...(blocked
        ? { blocked: `${formatCount(blocked.deletes)} of ${formatCount(blocked.total)} are gone. ${blocked.hint}` }
        : {}),
      ...(blocked && blocked.examples.length > 0 ? { gone: blocked.examples.join(', ') } : {}),
      ...(running
        ? { comparing: `${formatCount(running.seen)} entries so far, ${formatCount(Math.round(running.rate))}/s` }
        : {}),
      holds: `${formatCount(files)} files in ${formatCount(folders)} folders, ${formatBytes(sizeBytes)}`,
      'last full pass': lastFullPass ? `${formatTime(lastFullPass)} (${formatAge(lastFullPass, nowMs)})` : 'never',
      'changes by others': isPaused ? 'taken in when it is resumed' : sync.notified ? 'seen at once' : 'found by full passes',
      ...(sync.notifications
        ? {
            'told by the other server': `${formatCount(sync.notifications.taken)} changes, ${formatAge(sync.notifications.lastTime, nowMs)}`,
          }
        : {}),
      ...(sync.waiting > 0n ? { waiting: `${formatCount(sync.waiting)} paths to look at` } : {}),
      ...(sync.lag > 0n ? { behind: `${formatCount(sync.lag)} writes` } : {}),
      ...(skipped > 0n
        ? { 'left out': `${formatCount(skipped)}${skippedWords.length > 0 ? ` (${skippedWords.join(', ')})` : ''}` }
        : {}),
      ...(sync.skippedExamples.length > 0 ? { 'such as': sync.skippedExamples.join(', ') } : {}),
    },
    style,
  );
}
