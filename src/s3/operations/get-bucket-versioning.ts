import { xml } from '#lib/xml.ts';
import type { S3Answer } from '../answer.ts';
import type { S3Call } from '../call.ts';
import { result } from '../xml-result.ts';

/** An empty answer says that versioning was never turned on. */
export async function getBucketVersioning({ settings }: S3Call): Promise<S3Answer> {
  const { versioning } = settings;
  return { content: result('VersioningConfiguration', [xml('Status', versioning)]) };
}
