import { toJson } from '@bufbuild/protobuf';
import {
  ClusterSnapshot_State,
  ClusterSnapshot_StateSchema,
  ClusterSnapshotSchema,
  Snapshots,
} from '#gen/cellar/fleet/v1/snapshots_pb.ts';
import type { CliContext } from '../command.ts';
import { enumWord, formatAge, formatBytes } from '../output/format.ts';
import { allPages } from './all-pages.ts';
import { followOperation, type WaitOptions } from './follow-operation.ts';
import { client } from './support.ts';

/** Of all clusters that one may see. */
const all = '-';

export async function takeSnapshot(
  context: CliContext,
  cluster: string,
  { name = '', wait = true }: WaitOptions & { readonly name?: string },
): Promise<void> {
  const snapshots = await client(context, Snapshots);
  await followOperation(context, await snapshots.createSnapshot({ cluster, name }, { signal: context.signal }), { wait });
}

export async function listClusterSnapshots(context: CliContext, cluster: string = all): Promise<void> {
  const { output, signal } = context;
  const snapshots = await client(context, Snapshots);
  const found = await allPages(
    (page) => snapshots.listSnapshots({ cluster, ...page }, { signal }),
    (answer) => answer.snapshots,
  );
  output.table(
    found,
    [
      { title: 'cluster', value: (one) => one.cluster },
      { title: 'snapshot', value: ({ name }) => name },
      {
        title: 'state',
        value: ({ state }) => enumWord(ClusterSnapshot_StateSchema, state),
        paint: (word, { state }) => (state === ClusterSnapshot_State.FAILED ? output.style.red(word) : word),
      },
      { title: 'made', value: ({ createTime }) => formatAge(createTime, Date.now()) },
      { title: 'volumes', isNumber: true, value: ({ volumes }) => String(volumes) },
      { title: 'on disk', isNumber: true, value: ({ sizeBytes }) => formatBytes(sizeBytes) },
      { title: 'by', value: ({ actor }) => actor },
      { title: 'problem', value: ({ message }) => message },
    ],
    found.map((one) => toJson(ClusterSnapshotSchema, one, { alwaysEmitImplicit: true })),
  );
}

export interface RestoreOptions extends WaitOptions {
  readonly yes?: boolean;
}

export async function restoreClusterSnapshot(
  context: CliContext,
  cluster: string,
  name: string,
  { yes, wait = true }: RestoreOptions,
): Promise<void> {
  const snapshots = await client(context, Snapshots);
  await snapshots.getSnapshot({ cluster, name }, { signal: context.signal });
  await context.confirm(`Put back snapshot ${name} of cluster ${cluster}? What was written since is lost.`, yes);
  await followOperation(context, await snapshots.restoreSnapshot({ cluster, name }, { signal: context.signal }), { wait });
}

export async function deleteClusterSnapshot(
  context: CliContext,
  cluster: string,
  name: string,
  { yes }: { readonly yes?: boolean },
): Promise<void> {
  const snapshots = await client(context, Snapshots);
  await context.confirm(`Delete snapshot ${name} of cluster ${cluster}?`, yes);
  await snapshots.deleteSnapshot({ cluster, name }, { signal: context.signal });
  context.output.message(`Deleted ${name}.`);
}
