import type { ByteRange } from '#lib/byte-range.ts';
import type { Checksums, ObjectInfo } from './backend.ts';
import { S3Error } from './errors.ts';

/**
 * Where one part lies in its object, and its checksums; an object that was not made of parts is its own first part.
 * `range` is absent when the part is empty. Errors: `InvalidArgument`, `InvalidPart` when there is no such part.
 */
export function partRange(
  info: ObjectInfo,
  text: string,
): { readonly range: ByteRange | undefined; readonly checksums: Checksums } {
  const partNumber = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (partNumber < 1 || partNumber > 10_000)
    throw new S3Error('InvalidArgument', 'Part number must be an integer between 1 and 10000, inclusive', {
      fields: { ArgumentName: 'partNumber', ArgumentValue: text },
    });
  let first = 0;
  const parts = info.parts ?? [{ partNumber: 1, sizeBytes: info.sizeBytes, checksums: info.checksums }];
  // Parts are counted from 1 on reading, whatever their numbers were on writing.
  const part = parts[partNumber - 1];
  if (!part)
    throw new S3Error('InvalidPart', 'The requested part number is not satisfiable', {
      fields: { ActualPartCount: String(parts.length), PartNumberRequested: text },
    });
  for (const { sizeBytes } of parts.slice(0, partNumber - 1)) first += sizeBytes;
  const range = part.sizeBytes === 0 ? undefined : { first, last: first + part.sizeBytes - 1 };
  return { range, checksums: part.checksums ?? {} };
}
