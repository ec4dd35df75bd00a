/** So much is held at a time. */
const frameSizeBytes = 1024 * 1024;

/**
 * A stream as a shell can read it to its end, which it is not told otherwise: pieces of up to 1 MiB, each after a line with its size in bytes; `0`
 * ends it. What breaks off has no end.
 */
export async function* framed(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let pieces: Uint8Array[] = [];
  let sizeBytes = 0;
  const frame = (): Uint8Array => {
    const whole = Buffer.concat([Buffer.from(`${sizeBytes}\n`), ...pieces]);
    [pieces, sizeBytes] = [[], 0];
    return whole;
  };
  for await (const piece of source) {
    for (let at = 0; at < piece.byteLength; ) {
      const part = piece.subarray(at, at + frameSizeBytes - sizeBytes);
      pieces.push(part);
      sizeBytes += part.byteLength;
      at += part.byteLength;
      if (sizeBytes === frameSizeBytes) yield frame();
    }
  }
  if (sizeBytes > 0) yield frame();
  yield Buffer.from('0\n');
}
