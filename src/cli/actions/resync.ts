import { Datasources } from '#gen/cellar/data/v1/datasources_pb.ts';
import {
  type ResyncChange,
  ResyncChange_KindSchema,
  type ResyncProgress,
  ResyncProgress_Phase,
  ResyncProgressSchema,
} from '#gen/cellar/data/v1/sync_pb.ts';
import { Code, Fault } from '#kernel/fault.ts';
import type { CliContext } from '../command.ts';
import { enumWord, formatCount, formatDuration, plural } from '../output/format.ts';
import { createProgress } from '../output/progress.ts';
import { client, show } from './support.ts';

export interface ResyncOptions {
  readonly dryRun?: boolean;
  readonly confirmDeletes?: boolean;
}

/** How many of the differences a dry run names. */
const namedMax = 100;

/** Compares a datasource, or a folder in it, with its index. */
export async function resyncDatasource(
  context: CliContext,
  name: string,
  path: string | undefined,
  { dryRun = false, confirmDeletes = false }: ResyncOptions,
): Promise<void> {
  const { output, signal } = context;
  const datasources = await client(context, Datasources);
  const limit = dryRun ? namedMax : 0;
  const request = { name, dryRun, confirmDeletes, path: path ?? '', limit };
  const changes: ResyncChange[] = [];
  let last: ResyncProgress | undefined;
  {
    using progress = createProgress(output, `Comparing ${name}`, { hasLines: true });
    for await (const step of datasources.resyncDatasource(request, { signal })) {
      last = step;
      changes.push(...step.changes);
      progress.set({
        done: Number(step.seen),
        // What the index knew is only a guess at what the folder holds.
        total: step.seen < step.expected ? Number(step.expected) : undefined,
        text: progressText(step),
      });
    }
  }
  if (!last?.done)
    throw new Fault(Code.Unavailable, `Cannot tell how the comparison of ${name} ended: the server stopped telling`);
  const { seen, created, updated, deleted, moved } = last;
  const counts = [
    `${formatCount(created)} created`,
    `${formatCount(updated)} updated`,
    ...(moved > 0n ? [`${formatCount(moved)} moved`] : []),
    `${formatCount(deleted)} deleted`,
  ].join(', ');
  if (!output.isJson) for (const change of changes) output.line(undefined, () => changeText(change));
  if (changes.length === namedMax) output.message('These are the first of them.');
  output.message(`Compared ${plural(seen, 'entry', 'entries')} of ${name}: ${dryRun ? 'would be ' : ''}${counts}.`);
  if (output.isJson) show(context, ResyncProgressSchema, { ...last, changes }, () => '');
}

function progressText({ phase, seen, rate, remainingSeconds }: ResyncProgress): string {
  if (phase === ResyncProgress_Phase.WAITING) return 'waiting for another comparison to end';
  const left = remainingSeconds === undefined ? '' : `, ${formatDuration(remainingSeconds * 1000)} left`;
  return `${plural(seen, 'entry', 'entries')}, ${formatCount(Math.round(rate))}/s${left}`;
}

function changeText({ kind, path, newPath, isFolder, nodes }: ResyncChange): string {
  const slash = isFolder ? '/' : '';
  const more = nodes > 1n ? ` (${formatCount(nodes)} files and folders)` : '';
  return `${enumWord(ResyncChange_KindSchema, kind).padEnd(8)} ${path}${slash}${newPath ? ` -> ${newPath}${slash}` : ''}${more}`;
}
