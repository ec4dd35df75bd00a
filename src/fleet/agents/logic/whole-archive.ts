import { type Fault, invalidArgument } from '#kernel/fault.ts';

/** What an archive ends with. Source: POSIX.1-2017, pax, "ustar Interchange Format". */
const endSizeBytes = 1024;

/** Passes a tar archive on, and sees that it has an end: programs take one without for a whole one. Errors: `archiveInvalid`. */
export async function* wholeArchive(archive: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let tail = Buffer.alloc(0);
  for await (const piece of archive) {
    tail = Buffer.concat([tail, piece.subarray(-endSizeBytes)]).subarray(-endSizeBytes);
    yield piece;
  }
  if (tail.length < endSizeBytes || tail.some((byte) => byte !== 0)) throw archiveInvalid('it has no end');
}

export const archiveInvalid = (why: string): Fault =>
  invalidArgument(`The archive cannot be used: ${why}`, { reason: 'archive_invalid' });
