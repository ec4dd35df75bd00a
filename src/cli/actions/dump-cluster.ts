import { randomBytes } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { Clusters } from '#gen/cellar/fleet/v1/clusters_pb.ts';
import type { CliContext } from '../command.ts';
import { systemFault } from '../system-fault.ts';
import { client } from './support.ts';

/** Writes the dump of a cluster to a file, for this account only, that appears when it is whole; `-` is standard output. */
export async function dumpCluster(context: CliContext, name: string, { output: path }: { output?: string }): Promise<void> {
  const { output, signal } = context;
  const to = path ?? `${name}.tar.gz`;
  const pieces = (await client(context, Clusters)).dumpCluster({ name }, { signal });
  if (to === '-') {
    for await (const { data } of pieces) await output.write(data);
    return;
  }
  const partial = join(dirname(to), `.${basename(to).slice(0, 200)}.${randomBytes(4).toString('hex')}.part`);
  try {
    await using file = await open(partial, 'wx', 0o600);
    for await (const { data } of pieces) for (let at = 0; at < data.byteLength; ) at += (await file.write(data, at)).bytesWritten;
    await rename(partial, to);
  } catch (error) {
    throw systemFault('write', to, error);
  } finally {
    await rm(partial, { force: true });
  }
  output.message(
    `Wrote ${to}. Its dump.json says what is in it, and what is missing. Secrets are masked; look through it all the same.`,
  );
}
