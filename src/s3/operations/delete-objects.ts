import { type XmlChild, type XmlNode, xml } from '#lib/xml.ts';
import type { S3Answer } from '../answer.ts';
import type { S3Call } from '../call.ts';
import { deleteCondition } from '../delete-condition.ts';
import { S3Error } from '../errors.ts';
import { readBypass } from '../object-lock.ts';
import { result } from '../xml-result.ts';

const keysMax = 1_000;
/** Deletes that run at once: their commits are made together, and other requests still get their turn. */
const concurrency = 64;

/** Deletes many objects; each has its own right, its own result and its own error. */
export async function deleteObjects(call: S3Call): Promise<S3Answer> {
  await call.backend.headBucket(call.bucket);
  const request = await call.xml('Delete');
  const items = request.all('Object').map(readItem);
  if (items.length === 0 || items.length > keysMax) throw new S3Error('MalformedXML');
  const isQuiet = request.value('Quiet')?.trim() === 'true';
  const results: XmlChild[] = new Array(items.length);
  let next = 0;
  const work = async (): Promise<void> => {
    for (let at = next++; at < items.length; at = next++) results[at] = await deleteOne(call, items[at]!, isQuiet);
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, items.length) }, work));
  return { content: result('DeleteResult', results) };
}

interface Item {
  readonly key: string;
  readonly versionId: string | undefined;
  readonly node: XmlNode;
}

function readItem(node: XmlNode): Item {
  const key = node.value('Key');
  if (!key) throw new S3Error('MalformedXML');
  return { key, versionId: node.value('VersionId') || undefined, node };
}

async function deleteOne(call: S3Call, { key, versionId, node }: Item, isQuiet: boolean): Promise<XmlChild> {
  try {
    await call.authorize('DeleteObject', call.bucket, key, { versionId });
    const ref = { bucket: call.bucket, key, versionId };
    const conditions = { ifMatch: node.value('ETag'), lastModified: node.value('LastModifiedTime'), size: node.value('Size') };
    const condition = deleteCondition(ref, conditions, readBypass(call), call.nowMs);
    const deleted = await call.backend.delete(ref, { condition });
    if (isQuiet) return undefined;
    return xml('Deleted', [
      xml('Key', key),
      xml('VersionId', versionId),
      deleted.isDeleteMarker && xml('DeleteMarker', true),
      deleted.isDeleteMarker && xml('DeleteMarkerVersionId', deleted.versionId),
    ]);
  } catch (cause) {
    const error = S3Error.from(cause);
    // A failure of ours ends the whole request, so that it is logged and answered as what it is.
    if (error.code === 'InternalError') throw cause;
    return xml('Error', [xml('Key', key), xml('VersionId', versionId), xml('Code', error.code), xml('Message', error.message)]);
  }
}
