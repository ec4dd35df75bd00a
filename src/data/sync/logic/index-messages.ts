import { Change_Kind, type Entry, type Index, type WalkFoldersResponse_Run } from '#gen/cellar/data/v1/index_pb.ts';
import type { Client } from '#kernel/calls/client.ts';
import type { TreeEntry } from './entry.ts';
import type { PackedRun } from './packed-files.ts';
import type { PlannedChange } from './plan-changes.ts';

/** An etag that storage made, with the state of the file it was made for. */
export interface EtagHint {
  readonly etag: string;
  readonly sizeBytes: number;
  readonly mtimeMs: number;
}

type Init = Parameters<Client<typeof Index>['applyChanges']>[0];
type ChangeInit = NonNullable<NonNullable<Extract<Init, { changes?: unknown }>['changes']>[number]>;

/** An entry as the index has it, in our units. */
export function toTreeEntry(path: string, { isFolder, sizeBytes, modifyTimeNs, inode, etag }: Entry): TreeEntry {
  const known = etag === '' ? {} : { etag };
  return { path, isFolder, sizeBytes: Number(sizeBytes), mtimeUs: Number(modifyTimeNs / 1000n), inode: Number(inode), ...known };
}

export function toPackedRun({ path, folder, count, files }: WalkFoldersResponse_Run): PackedRun {
  return { path, folder: folder && toTreeEntry(path, folder), count, files };
}

/** A change in the words of the index; `etags` are by path. */
export function toChange(change: PlannedChange, etags: ReadonlyMap<string, EtagHint> | undefined): ChangeInit {
  if (change.kind === 'delete') return { kind: Change_Kind.DELETE, path: change.path };
  if (change.kind === 'move') return { kind: Change_Kind.MOVE, path: change.path, newPath: change.newPath };
  const { path, isFolder, sizeBytes, mtimeUs, inode } = change.entry;
  return {
    kind: Change_Kind.PUT,
    path,
    entry: {
      isFolder,
      sizeBytes: BigInt(sizeBytes),
      modifyTimeNs: BigInt(mtimeUs) * 1000n,
      inode: BigInt(inode),
      etag: isFolder ? '' : (change.entry.etag ?? etagOf(change.entry, etags?.get(path))),
    },
  };
}

/** An etag counts for the state of the file it was made for. */
function etagOf({ sizeBytes, mtimeUs }: TreeEntry, hint: EtagHint | undefined): string {
  const sinceUs = hint ? mtimeUs - hint.mtimeMs * 1000 : -1;
  return hint && hint.sizeBytes === sizeBytes && sinceUs >= 0 && sinceUs <= 1000 ? hint.etag : '';
}
