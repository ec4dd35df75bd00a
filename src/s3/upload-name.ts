import type { UploadName } from './backend.ts';
import type { S3Call } from './call.ts';
import { S3Error } from './errors.ts';

const partNumberMax = 10_000;

export const readUploadName = ({ bucket, key, query }: S3Call): UploadName => ({
  bucket,
  key,
  uploadId: query.get('uploadId') ?? '',
});

/** `partNumber`, from 1 to 10,000. Errors: `InvalidArgument`. */
export function readPartNumber({ query }: S3Call): number {
  const text = query.get('partNumber') ?? '';
  const partNumber = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (partNumber < 1 || partNumber > partNumberMax) {
    throw new S3Error('InvalidArgument', 'Part number must be an integer between 1 and 10000, inclusive', {
      fields: { ArgumentName: 'partNumber', ArgumentValue: text },
    });
  }
  return partNumber;
}
