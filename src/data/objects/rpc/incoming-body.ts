import { createHash } from 'node:crypto';
import type { PutObjectRequest, PutObjectRequest_Target } from '#gen/cellar/data/v1/objects_pb.ts';
import { invalidArgument } from '#kernel/fault.ts';
import type { ObjectBody } from '#s3/backend.ts';

/** A client's stream of messages as a target and the body to be written there. Errors: `invalid_argument` without a target. */
export async function readUpload(
  requests: AsyncIterable<PutObjectRequest>,
): Promise<{ readonly target: PutObjectRequest_Target; readonly body: ObjectBody } & AsyncDisposable> {
  const iterator = requests[Symbol.asyncIterator]();
  const first = await iterator.next();
  const target = first.done ? undefined : first.value.target;
  if (!target) throw invalidArgument('Cannot put an object: the first message does not say where', { reason: 'target_missing' });
  const sizeBytes = target.sizeBytes === undefined ? undefined : Number(target.sizeBytes);
  const md5 = createHash('md5');
  let received = 0;

  const count = (data: Uint8Array): Uint8Array => {
    received += data.length;
    if (sizeBytes !== undefined && received > sizeBytes) throw wrongSize(target.key, sizeBytes, `${received} or more`);
    md5.update(data);
    return data;
  };

  async function* bytes(): AsyncGenerator<Uint8Array> {
    if (!first.done && first.value.data.length > 0) yield count(first.value.data);
    for (let next = await iterator.next(); !next.done; next = await iterator.next()) yield count(next.value.data);
    if (sizeBytes !== undefined && received !== sizeBytes) throw wrongSize(target?.key ?? '', sizeBytes, String(received));
  }

  const body: ObjectBody = {
    bytes: bytes(),
    sizeBytes,
    verify: async () => ({ md5Hex: md5.digest('hex'), checksums: {} }),
  };
  return {
    target,
    body,
    async [Symbol.asyncDispose]() {
      await iterator.return?.();
    },
  };
}

function wrongSize(key: string, expected: number, received: string): Error {
  return invalidArgument(`Cannot write ${JSON.stringify(key)}: ${expected} bytes were announced, ${received} came`, {
    reason: 'wrong_size',
    hint: 'Nothing was written; send it again.',
  });
}
