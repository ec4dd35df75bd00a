/** Part of an object; `first` and `last` are both included, in bytes from 0. */
export interface ByteRange {
  readonly first: number;
  readonly last: number;
}

/**
 * Reads an HTTP `Range` header against an object of known size.
 *
 * Shape: `bytes=0-499`, `bytes=500-` or `bytes=-500`. Anything else, several ranges included, is ignored as the standard
 * allows: the result is `undefined`, meaning the whole object. `'unsatisfiable'` when the range lies outside the object.
 * Units: bytes; `last` is always below `sizeBytes`. Source: RFC 9110, 14.1.2; S3 GetObject, "Range".
 */
export function parseRange(header: string | undefined, sizeBytes: number): ByteRange | 'unsatisfiable' | undefined {
  const match = header === undefined ? null : /^bytes=(\d*)-(\d*)$/.exec(header.trim());
  if (!match) return undefined;
  const [first, last] = [match[1]!, match[2]!];
  if (first === '' && last === '') return undefined;
  if (first === '') {
    const length = Math.min(Number(last), sizeBytes);
    return length === 0 ? 'unsatisfiable' : { first: sizeBytes - length, last: sizeBytes - 1 };
  }
  const start = Number(first);
  if (last !== '' && Number(last) < start) return undefined;
  if (start >= sizeBytes) return 'unsatisfiable';
  return { first: start, last: last === '' ? sizeBytes - 1 : Math.min(Number(last), sizeBytes - 1) };
}

/** Length of a range in bytes. */
export const rangeSizeBytes = (range: ByteRange): number => range.last - range.first + 1;
