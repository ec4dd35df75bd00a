import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join, normalize } from 'node:path';
import { Clusters, ConnectionSchema } from '#gen/cellar/fleet/v1/clusters_pb.ts';
import { invalidArgument } from '#kernel/fault.ts';
import type { CliContext } from '../command.ts';
import { formatFields } from '../output/table.ts';
import { systemFault } from '../system-fault.ts';
import { client, show } from './support.ts';

/** What a client needs to connect to a cluster; with `out` its files are written to that folder, for this account only. */
export async function showConnection(context: CliContext, name: string, { out }: { out?: string }): Promise<void> {
  const { output, signal } = context;
  const connection = await (await client(context, Clusters)).getConnection({ name }, { signal });
  const files = Object.entries(connection.files);
  if (out !== undefined) for (const [path, data] of files) await writeSecret(out, path, data);
  if (out !== undefined) output.message(`Wrote ${files.length} ${files.length === 1 ? 'file' : 'files'} to ${out}.`);
  const left = out === undefined && files.length > 0 ? { files: files.map(([path]) => path).join(', ') } : {};
  show(context, ConnectionSchema, connection, () =>
    formatFields({ ...connection.endpoints, ...connection.secrets, ...left }, output.style),
  );
  if (out === undefined && files.length > 0 && !output.isJson) output.message('--out DIR writes the files.');
}

async function writeSecret(folder: string, path: string, data: Uint8Array): Promise<void> {
  const clean = normalize(path).replace(/^\/+/, '');
  if (clean === '' || clean.startsWith('..')) throw invalidArgument(`Cannot write "${path}": it would lie outside of ${folder}`);
  const file = join(folder, clean);
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    await writeFile(file, data, { mode: 0o600 });
  } catch (error) {
    throw systemFault('write the connection file', file, error);
  }
}
