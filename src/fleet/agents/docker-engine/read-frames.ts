export interface Frame {
  /** 1: standard output, 2: standard error. */
  readonly output: 1 | 2;
  readonly bytes: Buffer;
}

const headSizeBytes = 8;

/**
 * Takes apart what an engine answers for logs and commands: pieces of both outputs, each with a head of 8 bytes, which are its output and its
 * size as a big-endian number. Source: Docker Engine API 1.41, ContainerAttach, "Stream format".
 */
export async function* readFrames(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Frame> {
  let held = Buffer.alloc(0);
  for await (const chunk of chunks) {
    held = Buffer.concat([held, chunk]);
    while (held.length >= headSizeBytes) {
      const end = headSizeBytes + held.readUInt32BE(4);
      if (held.length < end) break;
      yield { output: held[0] === 2 ? 2 : 1, bytes: held.subarray(headSizeBytes, end) };
      held = held.subarray(end);
    }
  }
}
