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
import { writeWhole } from './write-whole.ts';

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

/** Writes a snapshot to a file. */
export async function downloadClusterSnapshot(
  context: CliContext,
  cluster: string,
  name: string,
  { output: path }: { readonly output?: string },
): Promise<void> {
  const { output, signal } = context;
  const to = path ?? `${cluster}.${name}.tar`;
  const snapshots = await client(context, Snapshots);
  if (!(await writeWhole(context, to, snapshots.downloadSnapshot({ cluster, name }, { signal })))) return;
  output.message(
    `Wrote ${to}. It holds all that members have written, maybe keys too: keep it as such. "sha256sum -c SHA256SUMS" checks what was unpacked.`,
  );
}

export interface RestoreOptions extends WaitOptions {
  readonly yes?: boolean;
  /** Another cluster. */
  readonly into?: string;
}

export async function restoreClusterSnapshot(
  context: CliContext,
  cluster: string,
  name: string,
  { yes, wait = true, into = '' }: RestoreOptions,
): Promise<void> {
  const snapshots = await client(context, Snapshots);
  await snapshots.getSnapshot({ cluster, name }, { signal: context.signal });
  const question =
    into === '' || into === cluster
      ? `Put back snapshot ${name} of cluster ${cluster}? What was written since is lost.`
      : `Put snapshot ${name} of cluster ${cluster} into cluster ${into}? What that one has written is lost, and it gets the keys of the first.`;
  await context.confirm(question, yes);
  await followOperation(context, await snapshots.restoreSnapshot({ cluster, name, into }, { signal: context.signal }), { wait });
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
