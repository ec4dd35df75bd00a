import { createReadStream } from 'node:fs';
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Node } from '#gen/cellar/data/v1/node_pb.ts';
import type { UploadRequestSchema } from '#gen/cellar/data/v1/tree_pb.ts';
import type { TreeClient } from '../actions/tree.ts';
import { systemFault } from '../system-fault.ts';

/** Size of the pieces a file is sent in. Unit: bytes. */
const pieceBytes = 256 * 1024;

export interface Upload {
  readonly to: string;
  /** Bytes that must arrive; absent for pipes, whose length nobody knows. */
  readonly size?: number | undefined;
  /** Refuse when the file exists. */
  readonly isNew: boolean;
  readonly signal: AbortSignal;
  readonly onBytes: (count: number) => void;
}

/** Sends a local file. Errors: what the server says; what reading says. A failed upload leaves nothing behind at the server. */
export async function uploadFile(tree: TreeClient, from: string, upload: Upload): Promise<Node> {
  const source = createReadStream(from, { highWaterMark: pieceBytes });
  try {
    return await uploadStream(tree, source, upload);
  } catch (error) {
    // A file that cannot be read arrives as a broken upload; the reason is here.
    throw source.errored ? systemFault('read', from, source.errored) : error;
  } finally {
    source.destroy();
  }
}

export async function uploadStream(tree: TreeClient, source: AsyncIterable<Uint8Array>, upload: Upload): Promise<Node> {
  return await tree.upload(requests(source, upload), { signal: upload.signal });
}

async function* requests(
  source: AsyncIterable<Uint8Array>,
  { to, size, isNew, onBytes }: Upload,
): AsyncGenerator<MessageInitShape<typeof UploadRequestSchema>> {
  yield { path: to, ifAbsent: isNew, ...(size === undefined ? {} : { sizeBytes: BigInt(size) }) };
  for await (const data of source) {
    yield { content: { data } };
    onBytes(data.byteLength);
  }
}
