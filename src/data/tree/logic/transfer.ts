import { Node_Kind } from '#gen/cellar/data/v1/node_pb.ts';
import type { Call } from '#kernel/calls/call.ts';
import { alreadyExists, failedPrecondition } from '#kernel/fault.ts';
import type { Datasource } from './datasources.ts';
import { makeFolderAt } from './folders.ts';
import { filePlace } from './object-place.ts';

export interface TransferEnd {
  readonly datasource: Datasource;
  /** Not empty. */
  readonly path: string;
}

/**
 * Copies a file, or a folder with all in it, from one datasource to another, file by file through this process. Not resumable: when it is
 * cut off, what was copied stays. Result: the position of the target's storage that covers it.
 * Errors: `already_exists` unless `isOverwriting`; `not_found`.
 */
export async function copyAcross(call: Call, from: TransferEnd, to: TransferEnd, isOverwriting: boolean): Promise<bigint> {
  const source = await from.datasource.index.getNode({ path: from.path }, { call });
  const found = await findTarget(call, to);
  if (found && !isOverwriting) {
    throw alreadyExists(`Cannot copy to ${to.datasource.name}/${to.path}: something is there`, { reason: 'key_exists' });
  }
  if (source.kind === Node_Kind.FILE) return copyFile(call, from, to, isOverwriting);
  if (found === Node_Kind.FILE)
    throw failedPrecondition(`Cannot copy to ${to.datasource.name}/${to.path}: a file is there`, { reason: 'key_conflict' });
  let position = await makeFolderAt(call, to.datasource, to.path);
  for await (const { nodes } of from.datasource.index.walkNodes({ path: from.path }, { call })) {
    for (const { path, entry } of nodes) {
      const target = { ...to, path: to.path + path.slice(from.path.length) };
      position = entry?.isFolder
        ? await makeFolderAt(call, target.datasource, target.path)
        : await copyFile(call, { ...from, path }, target, isOverwriting);
    }
  }
  return position;
}

async function findTarget(call: Call, { datasource, path }: TransferEnd): Promise<Node_Kind | undefined> {
  try {
    return (await datasource.index.getNode({ path }, { call })).kind;
  } catch (error) {
    if (error instanceof Error && 'reason' in error && error.reason === 'node_missing') return undefined;
    throw error;
  }
}

async function copyFile(call: Call, from: TransferEnd, to: TransferEnd, isOverwriting: boolean): Promise<bigint> {
  const { datasource, path } = to;
  const pieces = from.datasource.objects.getObject(filePlace(from.datasource, from.path), { call });
  const place = filePlace(datasource, path);
  const { position } = await datasource.objects.putObject(
    (async function* () {
      for await (const { info, data } of pieces) {
        if (!info) {
          yield { data };
          continue;
        }
        // A source that ends early must not become a short file.
        const { contentType, sizeBytes } = info;
        yield { target: { ...place, contentType, sizeBytes, ifAbsent: !isOverwriting }, data };
      }
    })(),
    { call },
  );
  return position;
}
