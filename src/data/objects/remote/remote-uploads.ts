import { Code, Fault, failedPrecondition } from '#kernel/fault.ts';
import { parseXml, writeXml, xml } from '#lib/xml.ts';
import type { CompletedPart, NewObject, ObjectBody, PartInfo, UploadChecksum } from '#s3/backend.ts';
import type { RemoteClient } from '#s3/remote/remote-client.ts';
import { plainEtag, writeHeaders } from '#s3/remote/remote-objects.ts';

/** An object there, by its whole key. */
export interface RemoteObject {
  readonly bucket: string;
  readonly key: string;
}

/** Up to this size a body goes as one request. Unit: bytes. */
const singleBytesMax = 64 * 1024 * 1024;
/** Of a part that is put together here; more than 10,000 of them are never needed below 1.2 TiB. Unit: bytes. */
const partBytesMin = 16 * 1024 * 1024;
const partsMax = 10_000;
/** Putting parts together may take a server a while. Unit: milliseconds. */
const completeMsMax = 600_000;

/** Headers of conditions: what must be there when it is written; `undefined` says nothing. */
export type RemoteCondition = { readonly 'if-match': string } | { readonly 'if-none-match': '*' } | undefined;

/**
 * Writes a whole object and nothing of one that is not what its sender promised. What is large, or of unknown size, goes in parts of which
 * two are in memory at most. Result: its etag.
 */
export async function putRemote(
  client: RemoteClient,
  target: RemoteObject,
  body: ObjectBody,
  options: NewObject,
  condition: RemoteCondition,
): Promise<string> {
  const headers = writeHeaders(options);
  if (body.sizeBytes !== undefined && body.sizeBytes > 0 && body.sizeBytes <= singleBytesMax) {
    let md5Hex = '';
    const stream = {
      bytes: body.bytes,
      sizeBytes: body.sizeBytes,
      verify: async () => {
        ({ md5Hex } = await body.verify());
      },
    };
    const answer = await client.headers({ method: 'PUT', ...target, headers: { ...headers, ...condition }, body: stream });
    const etag = plainEtag(answer.etag);
    assertArrived(target, etag, md5Hex, answer['x-amz-server-side-encryption']);
    return etag;
  }
  return await putInParts(client, target, body, { headers, options, condition });
}

interface PartsOptions {
  readonly headers: Readonly<Record<string, string>>;
  readonly options: NewObject;
  readonly condition: RemoteCondition;
}

async function putInParts(
  client: RemoteClient,
  target: RemoteObject,
  body: ObjectBody,
  { headers, options, condition }: PartsOptions,
): Promise<string> {
  const partBytes = Math.max(partBytesMin, Math.ceil((body.sizeBytes ?? 0) / partsMax));
  const pieces = cut(body.bytes, partBytes);
  const first = (await pieces.next()).value ?? new Uint8Array();
  const second = await pieces.next();
  if (second.done) {
    await body.verify();
    return plainEtag(
      (await client.headers({ method: 'PUT', ...target, headers: { ...headers, ...condition }, body: first })).etag,
    );
  }
  const uploadId = await createRemoteUpload(client, target, options);
  try {
    const parts: CompletedPart[] = [];
    const put = async (bytes: Uint8Array): Promise<void> => {
      const partNumber = parts.length + 1;
      if (partNumber > partsMax)
        throw failedPrecondition('Cannot write the object there: it is too large', { reason: 'entity_too_large' });
      const { etag } = await client.headers({ method: 'PUT', ...target, query: { partNumber, uploadId }, body: bytes });
      parts.push({ partNumber, etag: plainEtag(etag), checksums: {} });
    };
    await put(first);
    await put(second.value);
    for await (const piece of pieces) await put(piece);
    await body.verify();
    return await completeRemoteUpload(client, { ...target, uploadId }, parts, condition);
  } catch (error) {
    // Parts that stay are only paid for; what went wrong is what the writer has to know.
    await abortRemoteUpload(client, { ...target, uploadId }).catch(() => undefined);
    throw error;
  }
}

export async function createRemoteUpload(
  client: RemoteClient,
  target: RemoteObject,
  options: NewObject & { readonly checksum?: UploadChecksum | undefined },
): Promise<string> {
  const { checksum } = options;
  const headers = {
    ...writeHeaders(options),
    ...(checksum
      ? {
          'x-amz-checksum-algorithm': checksum.algorithm.toUpperCase(),
          'x-amz-checksum-type': checksum.kind === 'composite' ? 'COMPOSITE' : 'FULL_OBJECT',
        }
      : {}),
  };
  const text = await client.text({ method: 'POST', ...target, query: { uploads: '' }, headers });
  const uploadId = parseXml(text, 'InitiateMultipartUploadResult').value('UploadId');
  if (!uploadId) throw new Fault(Code.Unavailable, 'The other server began no upload', { reason: 'remote_unavailable' });
  return uploadId;
}

export async function putRemotePart(
  client: RemoteClient,
  { uploadId, ...target }: RemoteObject & { readonly uploadId: string },
  partNumber: number,
  body: ObjectBody,
): Promise<PartInfo> {
  const { sizeBytes } = body;
  let digest: Awaited<ReturnType<ObjectBody['verify']>> | undefined;
  const verify = async (): Promise<void> => {
    digest = await body.verify();
  };
  const query = { partNumber, uploadId };
  if (sizeBytes === undefined) throw failedPrecondition('Cannot write a part of unknown size', { reason: 'wrong_size' });
  if (sizeBytes === 0) {
    for await (const _ of body.bytes);
    await verify();
  }
  const content = sizeBytes === 0 ? new Uint8Array() : { bytes: body.bytes, sizeBytes, verify };
  const { etag } = await client.headers({ method: 'PUT', ...target, query, body: content });
  return { partNumber, sizeBytes, mtimeMs: Date.now(), etag: plainEtag(etag), checksums: digest?.checksums ?? {} };
}

/** Result: the etag. Errors: as the server has them, also when it finds out only after it began to answer. */
export async function completeRemoteUpload(
  client: RemoteClient,
  { uploadId, ...target }: RemoteObject & { readonly uploadId: string },
  parts: readonly CompletedPart[],
  condition: RemoteCondition,
): Promise<string> {
  const document = writeXml({
    name: 'CompleteMultipartUpload',
    children: parts.map(({ partNumber, etag, checksums }) =>
      xml('Part', [
        xml('PartNumber', partNumber),
        xml('ETag', `"${etag}"`),
        ...Object.entries(checksums).map(([algorithm, value]) => xml(`Checksum${algorithm.toUpperCase()}`, value)),
      ]),
    ),
  });
  const body = Buffer.from(document);
  const headers = { 'content-type': 'application/xml', ...condition };
  const text = await client.text({ method: 'POST', ...target, query: { uploadId }, headers, body, answerMsMax: completeMsMax });
  if (/<Error[ >]/.test(text)) {
    const error = parseXml(text, 'Error');
    throw new Fault(Code.Unavailable, `The upload was not completed there: ${error.value('Message') ?? error.value('Code')}`, {
      reason: 'remote_unavailable',
      hint: 'Complete it again.',
    });
  }
  return plainEtag(parseXml(text, 'CompleteMultipartUploadResult').value('ETag'));
}

export async function abortRemoteUpload(
  client: RemoteClient,
  { uploadId, ...target }: RemoteObject & { readonly uploadId: string },
): Promise<void> {
  await client.headers({ method: 'DELETE', ...target, query: { uploadId } });
}

/** Pieces of `sizeBytes`, the last one smaller. */
async function* cut(bytes: AsyncIterable<Uint8Array>, sizeBytes: number): AsyncGenerator<Uint8Array, undefined> {
  let piece = Buffer.allocUnsafe(sizeBytes);
  let filled = 0;
  for await (const chunk of bytes) {
    for (let at = 0; at < chunk.length; ) {
      const taken = Math.min(sizeBytes - filled, chunk.length - at);
      piece.set(chunk.subarray(at, at + taken), filled);
      filled += taken;
      at += taken;
      if (filled < sizeBytes) continue;
      yield piece;
      piece = Buffer.allocUnsafe(sizeBytes);
      filled = 0;
    }
  }
  if (filled > 0) yield piece.subarray(0, filled);
  return undefined;
}

/** The etag of a plain object is the MD5 of what the server has. */
function assertArrived({ bucket, key }: RemoteObject, etag: string, md5Hex: string, encryption: unknown): void {
  const isMd5 = /^[0-9a-f]{32}$/.test(etag) && (encryption === undefined || encryption === 'AES256');
  if (!isMd5 || md5Hex === '' || etag === md5Hex) return;
  throw new Fault(Code.DataLoss, `${JSON.stringify(key)} of bucket "${bucket}" did not arrive as it was sent`, {
    reason: 'wrong_checksum',
    hint: 'Write it again.',
  });
}
