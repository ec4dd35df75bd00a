import type { MessageInitShape } from '@bufbuild/protobuf';
import {
  type Change,
  Change_Kind,
  CheckIndexResponse_Finding_Kind,
  type CheckIndexResponseSchema,
  type Entry,
  type EntrySchema,
  type NodeFilter as FilterMessage,
  NodeEvent_Kind,
  type NodeEventSchema,
  type SnapshotSchema,
  type WalkFoldersResponse_RunSchema,
} from '#gen/cellar/data/v1/index_pb.ts';
import { Node_Kind, type NodeSchema } from '#gen/cellar/data/v1/node_pb.ts';
import { invalidArgument } from '#kernel/fault.ts';
import { contentTypeOf } from '#lib/content-type.ts';
import { fileEtag } from '#lib/file-etag.ts';
import { nameOf } from '#lib/tree-path.ts';
import type { CheckReport } from '../logic/check-index.ts';
import type { NodeFilter } from '../logic/node-filter.ts';
import type { Snapshot } from '../logic/snapshots.ts';
import type { FolderRun } from '../store/folder-runs.ts';
import type { Integer, StoredEntry, StoredNode, TreeChange, TreeEvent } from '../store/store.ts';

const pathBytesMax = 4096;

/** Whose nodes they are: both are part of what the outside sees. */
export interface Naming {
  readonly datasource: string;
  readonly tag: string;
}

/** Errors: `invalid_argument` for paths that no file can have. */
export function readPath(path: string): string {
  const isPlain = path === '' || path.split('/').every((name) => name !== '' && name !== '.' && name !== '..');
  if (!isPlain || path.includes('\0') || Buffer.byteLength(path) > pathBytesMax) {
    throw invalidArgument(
      `Cannot use path ${JSON.stringify(path)}: it has an empty, "." or ".." part, or is over ${pathBytesMax} bytes`,
      { reason: 'invalid_path' },
    );
  }
  return path;
}

export function readChange({ kind, path, newPath, entry }: Change): TreeChange {
  switch (kind) {
    case Change_Kind.PUT:
      if (!entry) throw invalidArgument(`Cannot put ${JSON.stringify(path)}: the change has no entry`);
      if (path === '' && !entry.isFolder) throw invalidArgument('Cannot put a file at the root');
      return { kind: 'put', path: readPath(path), entry: readEntry(entry) };
    case Change_Kind.DELETE:
      if (path === '') throw invalidArgument('Cannot delete the root of an index');
      return { kind: 'delete', path: readPath(path) };
    case Change_Kind.MOVE:
      if (path === '' || newPath === '') throw invalidArgument('Cannot move from or to the root of an index');
      return { kind: 'move', path: readPath(path), newPath: readPath(newPath) };
    case Change_Kind.COPY:
      if (path === '' || newPath === '') throw invalidArgument('Cannot copy from or to the root of an index');
      return { kind: 'copy', path: readPath(path), newPath: readPath(newPath) };
    default:
      throw invalidArgument(`Cannot apply a change of ${JSON.stringify(path)}: it does not say of which kind it is`);
  }
}

export function readFilter(filter: FilterMessage): NodeFilter {
  const { kind, namePattern, ignoreCase, sizeBytesMin, sizeBytesMax, modifiedFrom, modifiedBefore } = filter;
  const number = (value: bigint | undefined): number | undefined => (value === undefined ? undefined : Number(value));
  return {
    kind: kind === Node_Kind.FILE ? 'file' : kind === Node_Kind.FOLDER ? 'folder' : undefined,
    pattern: namePattern,
    ignoreCase,
    sizeMin: number(sizeBytesMin),
    sizeMax: number(sizeBytesMax),
    fromUs: modifiedFrom && Math.ceil(timestampUs(modifiedFrom)),
    beforeUs: modifiedBefore && Math.ceil(timestampUs(modifiedBefore)),
  };
}

function timestampUs({ seconds, nanos }: { readonly seconds: bigint; readonly nanos: number }): number {
  return Number(seconds) * 1e6 + nanos / 1000;
}

function readEntry({ isFolder, sizeBytes, modifyTimeNs, inode, etag }: Entry): StoredEntry {
  return {
    isFolder,
    sizeBytes: isFolder ? 0 : Number(sizeBytes),
    mtimeUs: Number(modifyTimeNs / 1000n),
    // Databases have signed integers; the same bits come back.
    inode: asInteger(BigInt.asIntN(64, inode)),
    etag,
  };
}

function asInteger(value: bigint): Integer {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

export function entryMessage({ isFolder, sizeBytes, mtimeUs, inode, etag }: StoredEntry): MessageInitShape<typeof EntrySchema> {
  return {
    isFolder,
    sizeBytes: isFolder ? 0n : BigInt(sizeBytes),
    modifyTimeNs: BigInt(mtimeUs) * 1000n,
    inode: BigInt.asUintN(64, BigInt(inode)),
    etag,
  };
}

export function runMessage({ path, folder, count, files }: FolderRun): MessageInitShape<typeof WalkFoldersResponse_RunSchema> {
  const entry = folder && entryMessage({ ...folder, isFolder: true, sizeBytes: 0, etag: '' });
  return { path, ...(entry ? { folder: entry } : {}), count, files };
}

export function nodeMessage(node: StoredNode, { datasource, tag }: Naming): MessageInitShape<typeof NodeSchema> {
  const { id, path, isFolder, sizeBytes, mtimeUs, etag, files } = node;
  const seconds = Math.floor(mtimeUs / 1e6);
  return {
    id: `${tag}-${id.toString(36)}`,
    path: path === '' ? datasource : `${datasource}/${path}`,
    name: path === '' ? datasource : nameOf(path),
    kind: isFolder ? Node_Kind.FOLDER : Node_Kind.FILE,
    sizeBytes: BigInt(sizeBytes),
    modifyTime: { seconds: BigInt(seconds), nanos: (mtimeUs - seconds * 1e6) * 1000 },
    // Of a file that another program wrote nobody has read the content: what the disk says of it stands for that.
    etag: isFolder ? '' : etag || fileEtag(node),
    files: BigInt(files),
    contentType: isFolder ? '' : contentTypeOf(path),
  };
}

const kinds = {
  created: NodeEvent_Kind.CREATED,
  updated: NodeEvent_Kind.UPDATED,
  deleted: NodeEvent_Kind.DELETED,
  moved: NodeEvent_Kind.MOVED,
  copied: NodeEvent_Kind.COPIED,
  filled: NodeEvent_Kind.FILLED,
  reset: NodeEvent_Kind.RESET,
} as const;

export function eventMessage(event: TreeEvent, naming: Naming): MessageInitShape<typeof NodeEventSchema> {
  const oldPath = event.oldPath === undefined ? '' : `${naming.datasource}/${event.oldPath}`;
  return { kind: kinds[event.kind], node: nodeMessage(event.node, naming), oldPath };
}

export function snapshotMessage(snapshot: Snapshot): MessageInitShape<typeof SnapshotSchema> {
  const { name, createdMs, fileBytes, files, folders, sizeBytes, position, problem } = snapshot;
  return {
    name,
    createTime: { seconds: BigInt(Math.floor(createdMs / 1000)), nanos: (createdMs % 1000) * 1e6 },
    sizeBytes: BigInt(fileBytes),
    files: BigInt(files),
    folders: BigInt(folders === 0 ? 0 : folders - 1),
    contentBytes: BigInt(sizeBytes),
    position: BigInt(position),
    problem,
  };
}

const findingKinds = {
  root: CheckIndexResponse_Finding_Kind.ROOT,
  orphan: CheckIndexResponse_Finding_Kind.ORPHAN,
  cycle: CheckIndexResponse_Finding_Kind.CYCLE,
  duplicate: CheckIndexResponse_Finding_Kind.DUPLICATE,
  name: CheckIndexResponse_Finding_Kind.NAME,
  labels: CheckIndexResponse_Finding_Kind.LABELS,
  sums: CheckIndexResponse_Finding_Kind.SUMS,
  counter: CheckIndexResponse_Finding_Kind.COUNTER,
  engine: CheckIndexResponse_Finding_Kind.ENGINE,
} as const;

export function checkMessage(report: CheckReport): MessageInitShape<typeof CheckIndexResponseSchema> {
  return {
    findings: report.findings.map(({ kind, path, detail, rows = 1, isRepaired, needsFullPass }) => ({
      ...{ kind: findingKinds[kind], path, detail, rows: BigInt(rows), repaired: isRepaired, needsFullPass },
    })),
    step: report.step,
    foldersChecked: BigInt(report.folders),
    filesChecked: BigInt(report.files),
    found: BigInt(report.found),
    repaired: BigInt(report.repaired),
    needsFullPass: report.needsFullPass,
    done: report.isDone,
  };
}
