import { toJson } from '@bufbuild/protobuf';
import { Datasources } from '#gen/cellar/data/v1/datasources_pb.ts';
import { type Snapshot, SnapshotSchema } from '#gen/cellar/data/v1/index_pb.ts';
import { Code, Fault } from '#kernel/fault.ts';
import type { CliContext } from '../command.ts';
import { formatAge, formatBytes, formatCount, plural } from '../output/format.ts';
import { createProgress, type Progress } from '../output/progress.ts';
import { client, show } from './support.ts';

export async function createSnapshot(context: CliContext, name: string): Promise<void> {
  const { output, signal } = context;
  const datasources = await client(context, Datasources);
  let made: Snapshot | undefined;
  {
    using progress = createProgress(output, `Writing the index of ${name}`, { hasLines: true });
    for await (const step of datasources.createDatasourceSnapshot({ name }, { signal })) {
      made = step.snapshot ?? made;
      tell(progress, step);
    }
  }
  if (!made) throw stoppedTelling('snapshot', name);
  const snapshot = made;
  output.message(
    `${plural(snapshot.files, 'file')} in ${plural(snapshot.folders, 'folder')}, ${formatBytes(snapshot.sizeBytes)}:`,
  );
  show(context, SnapshotSchema, snapshot, () => snapshot.name);
}

export async function listSnapshots(context: CliContext, name: string): Promise<void> {
  const { snapshots } = await (await client(context, Datasources)).listDatasourceSnapshots({ name }, { signal: context.signal });
  context.output.table(
    snapshots,
    [
      { title: 'name', value: (one) => one.name },
      { title: 'made', value: ({ createTime }) => formatAge(createTime, Date.now()) },
      { title: 'files', isNumber: true, value: ({ files }) => formatCount(files) },
      { title: 'folders', isNumber: true, value: ({ folders }) => formatCount(folders) },
      { title: 'holds', isNumber: true, value: ({ contentBytes }) => formatBytes(contentBytes) },
      { title: 'on disk', isNumber: true, value: ({ sizeBytes }) => formatBytes(sizeBytes) },
      { title: 'problem', value: ({ problem }) => problem },
    ],
    snapshots.map((one) => toJson(SnapshotSchema, one, { alwaysEmitImplicit: true })),
  );
}

export async function restoreSnapshot(
  context: CliContext,
  name: string,
  snapshot: string,
  options: { yes?: boolean },
): Promise<void> {
  const { output, signal } = context;
  const datasources = await client(context, Datasources);
  await context.confirm(`Put ${snapshot} in place of the index of ${name}? No file is touched.`, options.yes);
  let isDone = false;
  {
    using progress = createProgress(output, `Restoring the index of ${name}`, { hasLines: true });
    for await (const step of datasources.restoreDatasourceSnapshot({ name, snapshot }, { signal })) {
      isDone ||= step.done;
      tell(progress, step);
    }
  }
  if (!isDone) throw stoppedTelling('restore', name);
  output.message(`The index of ${name} is that of ${snapshot}; the folder is compared with it now.`);
}

export async function deleteSnapshot(
  context: CliContext,
  name: string,
  snapshot: string,
  options: { yes?: boolean },
): Promise<void> {
  const datasources = await client(context, Datasources);
  await context.confirm(`Delete snapshot ${snapshot} of ${name}?`, options.yes);
  await datasources.deleteDatasourceSnapshot({ name, snapshot }, { signal: context.signal });
  context.output.message(`Deleted ${snapshot}.`);
}

function tell(progress: Progress, { nodesDone, nodesTotal }: { readonly nodesDone: bigint; readonly nodesTotal: bigint }): void {
  const text = `${formatCount(nodesDone)} of ${plural(nodesTotal, 'entry', 'entries')}`;
  progress.set({ done: Number(nodesDone), total: Number(nodesTotal) || undefined, text });
}

function stoppedTelling(what: string, name: string): Fault {
  return new Fault(Code.Unavailable, `Cannot tell how the ${what} of ${name} ended: the server stopped telling`);
}
