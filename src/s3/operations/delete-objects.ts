import { type XmlChild, xml } from '#lib/xml.ts';
import type { S3Answer } from '../answer.ts';
import type { S3Call } from '../call.ts';
import { S3Error } from '../errors.ts';
import { result } from '../xml-result.ts';

const keysMax = 1_000;

/** Deletes many objects; each has its own right, its own result and its own error. */
export async function deleteObjects(call: S3Call): Promise<S3Answer> {
  await call.backend.headBucket(call.bucket);
  const request = await call.xml('Delete');
  const items = request.all('Object');
  if (items.length === 0 || items.length > keysMax) throw new S3Error('MalformedXML');
  const isQuiet = request.value('Quiet')?.trim() === 'true';
  const results: XmlChild[] = [];
  for (const item of items) {
    const key = item.value('Key');
    if (!key) throw new S3Error('MalformedXML');
    results.push(await deleteOne(call, key, item.value('VersionId'), isQuiet));
  }
  return { content: result('DeleteResult', results) };
}

async function deleteOne(call: S3Call, key: string, versionId: string | undefined, isQuiet: boolean): Promise<XmlChild> {
  try {
    if (versionId !== undefined && versionId !== 'null') throw new S3Error('NotImplemented', 'Versions are not implemented');
    await call.authorize('DeleteObject', call.bucket, key);
    await call.backend.delete({ bucket: call.bucket, key });
    return isQuiet ? undefined : xml('Deleted', [xml('Key', key)]);
  } catch (cause) {
    const error = S3Error.from(cause);
    // A failure of ours ends the whole request, so that it is logged and answered as what it is.
    if (error.code === 'InternalError') throw cause;
    return xml('Error', [xml('Key', key), xml('Code', error.code), xml('Message', error.message)]);
  }
}
