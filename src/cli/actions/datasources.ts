import { isAbsolute, resolve } from 'node:path';
import { toJson } from '@bufbuild/protobuf';
import { type Datasource, DatasourceSchema, Datasources } from '#gen/cellar/data/v1/datasources_pb.ts';
import {
  type ResyncProgress,
  ResyncProgressSchema,
  SyncStatus_State,
  SyncStatus_StateSchema,
} from '#gen/cellar/data/v1/sync_pb.ts';
import { Code, Fault, invalidArgument } from '#kernel/fault.ts';
import type { CliContext } from '../command.ts';
import { enumWord, formatAge, formatBytes, formatCount, plural } from '../output/format.ts';
import { createProgress } from '../output/progress.ts';
import { client, show } from './support.ts';

export async function addDatasource(context: CliContext, name: string, given: string): Promise<void> {
  const connection = await context.connect();
  if (!isAbsolute(given) && !connection.isSameMachine) {
    throw invalidArgument(`Cannot add ${name}: "${given}" is not an absolute path`, {
      hint: 'The folder lies on the machine of the server; give its path from the root.',
    });
  }
  const folder = isAbsolute(given) ? given : resolve(given);
  const datasource = await connection
    .client(Datasources)
    .createDatasource({ datasource: { name, folder } }, { signal: context.signal });
  context.output.message(
    `Serving ${folder} as ${name}. Its files appear as they are found; "cellar datasource list" shows how far it is.`,
  );
  if (context.output.isJson) show(context, DatasourceSchema, datasource, () => '');
}

export async function listDatasources(context: CliContext): Promise<void> {
  const { output } = context;
  const { datasources } = await (await client(context, Datasources)).listDatasources({}, { signal: context.signal });
  output.table(
    datasources,
    [
      { title: 'name', value: ({ name }) => name },
      {
        title: 'state',
        value: stateWord,
        paint: (word, { sync }) =>
          sync && sync.state !== SyncStatus_State.BLOCKED ? output.style.green(word) : output.style.red(word),
      },
      { title: 'files', isNumber: true, value: ({ sync }) => (sync ? formatCount(sync.files) : '') },
      { title: 'folders', isNumber: true, value: ({ sync }) => (sync ? formatCount(sync.folders) : '') },
      { title: 'size', isNumber: true, value: ({ sync }) => (sync ? formatBytes(sync.sizeBytes) : '') },
      { title: 'last full pass', value: ({ sync }) => formatAge(sync?.lastFullPass, Date.now()) },
      { title: 'folder', value: ({ folder }) => folder },
    ],
    datasources.map((datasource) => toJson(DatasourceSchema, datasource, { alwaysEmitImplicit: true })),
  );
  if (output.isJson) return;
  for (const { name, sync } of datasources) if (sync?.reason) output.message(`${name}: ${sync.reason}`);
}

export async function removeDatasource(context: CliContext, name: string, options: { yes?: boolean }): Promise<void> {
  const datasources = await client(context, Datasources);
  const { folder } = await datasources.getDatasource({ name }, { signal: context.signal });
  await context.confirm(`Stop serving ${folder} as ${name}? Its files are left alone.`, options.yes);
  await datasources.deleteDatasource({ name }, { signal: context.signal });
  context.output.message(`${name} is no longer served. The files in ${folder} were left alone.`);
}

export async function resyncDatasource(
  context: CliContext,
  name: string,
  options: { dryRun?: boolean; confirmDeletes?: boolean },
): Promise<void> {
  const { output, signal } = context;
  const { dryRun = false, confirmDeletes = false } = options;
  const datasources = await client(context, Datasources);
  const { sync } = await datasources.getDatasource({ name }, { signal });
  const expected = sync ? Number(sync.files + sync.folders) : undefined;
  let last: ResyncProgress | undefined;
  {
    using progress = createProgress(output, `Comparing ${name}`);
    for await (const step of datasources.resyncDatasource({ name, dryRun, confirmDeletes }, { signal })) {
      last = step;
      progress.set({
        done: Number(step.seen),
        // What the index knew is only a guess at what the folder holds.
        total: expected && Number(step.seen) < expected ? expected : undefined,
        text: `${plural(step.seen, 'entry', 'entries')}, ${formatCount(Math.round(step.rate))}/s`,
      });
    }
  }
  if (!last?.done)
    throw new Fault(Code.Unavailable, `Cannot tell how the comparison of ${name} ended: the server stopped telling`);
  const { seen, created, updated, deleted } = last;
  const changes = `${formatCount(created)} created, ${formatCount(updated)} updated, ${formatCount(deleted)} deleted`;
  output.message(`Compared ${plural(seen, 'entry', 'entries')} of ${name}: ${dryRun ? 'would be ' : ''}${changes}.`);
  if (output.isJson) show(context, ResyncProgressSchema, last, () => '');
}

function stateWord({ sync }: Datasource): string {
  return sync ? enumWord(SyncStatus_StateSchema, sync.state) : 'not answering';
}
