import { Clusters } from '#gen/cellar/fleet/v1/clusters_pb.ts';
import type { CliContext } from '../command.ts';
import { client } from './support.ts';
import { writeWhole } from './write-whole.ts';

/** Writes the dump of a cluster to a file. */
export async function dumpCluster(context: CliContext, name: string, { output: path }: { output?: string }): Promise<void> {
  const { output, signal } = context;
  const to = path ?? `${name}.tar.gz`;
  if (!(await writeWhole(context, to, (await client(context, Clusters)).dumpCluster({ name }, { signal })))) return;
  output.message(
    `Wrote ${to}. Its dump.json says what is in it, and what is missing. Secrets are masked; look through it all the same.`,
  );
}
