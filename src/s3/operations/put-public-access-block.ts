import type { XmlNode } from '#lib/xml.ts';
import type { S3Answer } from '../answer.ts';
import type { S3Call } from '../call.ts';
import { S3Error } from '../errors.ts';

export async function putPublicAccessBlock(call: S3Call): Promise<S3Answer> {
  const document = await call.xml('PublicAccessBlockConfiguration');
  const publicAccessBlock = {
    blockPublicAcls: readTruth(document, 'BlockPublicAcls'),
    ignorePublicAcls: readTruth(document, 'IgnorePublicAcls'),
    blockPublicPolicy: readTruth(document, 'BlockPublicPolicy'),
    restrictPublicBuckets: readTruth(document, 'RestrictPublicBuckets'),
  };
  await call.backend.changeBucketSettings(call.bucket, (current) => ({ ...current, publicAccessBlock }));
  return {};
}

/** False when it is not there. Errors: `MalformedXML`. */
function readTruth(document: XmlNode, name: string): boolean {
  const text = document.value(name)?.trim().toLowerCase() ?? 'false';
  if (text !== 'true' && text !== 'false') throw new S3Error('MalformedXML');
  return text === 'true';
}
