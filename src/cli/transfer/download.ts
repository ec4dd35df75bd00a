import { randomBytes } from 'node:crypto';
import { link, mkdir, open, rename, rm, utimes } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { anyUnpack } from '@bufbuild/protobuf/wkt';
import { ContentInfoSchema } from '#gen/cellar/kernel/v1/content_pb.ts';
import { Code, Fault } from '#kernel/fault.ts';
import type { TreeClient } from '../actions/tree.ts';
import { showRemote } from '../remote-path.ts';
import { systemFault } from '../system-fault.ts';

export interface Download {
  readonly to: string;
  /** Refuse when the file exists. */
  readonly isNew: boolean;
  /** Time of change to give the file. Unit: milliseconds since 1970. */
  readonly modifyMs?: number | undefined;
  readonly signal: AbortSignal;
  readonly onBytes: (count: number) => void;
}

/** Fetches a remote file; it appears under its name only when whole. Errors: what the server says; what writing says. */
export async function downloadFile(tree: TreeClient, from: string, download: Download): Promise<void> {
  const { to, isNew, modifyMs } = download;
  const partial = join(dirname(to), `.${basename(to).slice(0, 200)}.${randomBytes(4).toString('hex')}.part`);
  try {
    await mkdir(dirname(to), { recursive: true });
    await fill(tree, from, partial, download);
    if (modifyMs !== undefined) await utimes(partial, modifyMs / 1000, modifyMs / 1000);
    // A link is refused where a file is; a rename replaces it.
    if (isNew) await link(partial, to);
    else await rename(partial, to);
  } catch (error) {
    throw systemFault('write', to, error);
  } finally {
    await rm(partial, { force: true });
  }
}

async function fill(tree: TreeClient, from: string, partial: string, { signal, onBytes }: Download): Promise<void> {
  const file = await open(partial, 'wx');
  try {
    for await (const data of contentOf(tree, from, signal)) {
      for (let at = 0; at < data.byteLength; ) at += (await file.write(data, at)).bytesWritten;
      onBytes(data.byteLength);
    }
  } finally {
    await file.close();
  }
}

/** A remote file's bytes. Errors: `unavailable` when fewer come than were announced. */
export async function* contentOf(tree: TreeClient, from: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  let expected: bigint | undefined;
  let seen = 0n;
  for await (const { data, extensions } of tree.download({ path: from }, { signal })) {
    for (const extension of extensions) expected = anyUnpack(extension, ContentInfoSchema)?.length ?? expected;
    if (data.byteLength === 0) continue;
    seen += BigInt(data.byteLength);
    yield data;
  }
  if (expected !== undefined && seen !== expected) {
    throw new Fault(Code.Unavailable, `Cannot read ${showRemote(from)} to its end: ${seen} of ${expected} bytes came`, {
      hint: 'Try again.',
    });
  }
}
