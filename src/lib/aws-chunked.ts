import { createHash, timingSafeEqual } from 'node:crypto';
import { emptySha256, type Scope, scopeText, sha256Hex, signText } from './sigv4.ts';

/** What every chunk's signature is computed from; `seed` is the signature of the request's headers. */
export interface ChunkSigning {
  readonly key: Buffer;
  readonly scope: Scope;
  readonly timestamp: string;
  readonly seed: string;
}

export interface AwsChunkedOptions {
  /** Absent for `STREAMING-UNSIGNED-PAYLOAD-TRAILER`. */
  readonly signing?: ChunkSigning | undefined;
  /** `x-amz-decoded-content-length`: how many bytes must come out. */
  readonly decodedSizeBytes: number;
  /** Lower-case names announced in `x-amz-trailer`; absent when the payload kind has no trailer. */
  readonly trailerNames?: readonly string[] | undefined;
  /** Called once, after the last byte and only when every signature was right. */
  readonly onTrailer?: (trailer: ReadonlyMap<string, string>) => void;
}

export type AwsChunkedProblem = 'incomplete' | 'malformed' | 'wrong_length' | 'signature' | 'malformed_trailer';

/** Why a body cannot be accepted; the message is safe to show. */
export class AwsChunkedError extends Error {
  readonly problem: AwsChunkedProblem;

  constructor(problem: AwsChunkedProblem, message: string) {
    super(message);
    this.name = 'AwsChunkedError';
    this.problem = problem;
  }
}

const lineSizeBytesMax = 4_096;
const trailerLinesMax = 16;

/**
 * Decodes a body in `aws-chunked` form and verifies the chain of chunk signatures, the length and the trailer's signature.
 *
 * Bytes are passed on before the signature of their chunk is known: the reader must not commit before the stream has ended.
 * Errors: `AwsChunkedError`, also for bytes after the end.
 * Source: "Signature calculations: transferring payload in multiple chunks", with and without trailing headers.
 */
export async function* decodeAwsChunked(
  source: AsyncIterable<Uint8Array>,
  options: AwsChunkedOptions,
): AsyncGenerator<Uint8Array> {
  const { signing, decodedSizeBytes, trailerNames } = options;
  const reader = createReader(source);
  let previous = signing?.seed ?? '';
  let decoded = 0;
  for (;;) {
    const { sizeBytes, signature } = parseChunkHeader(await reader.line());
    if (decoded + sizeBytes > decodedSizeBytes)
      throw new AwsChunkedError('wrong_length', 'The body is longer than x-amz-decoded-content-length');
    const hash = signing ? createHash('sha256') : undefined;
    for (let left = sizeBytes; left > 0; ) {
      const piece = await reader.upTo(left);
      hash?.update(piece);
      left -= piece.length;
      decoded += piece.length;
      yield piece;
    }
    if (signing && hash) {
      const text = [
        'AWS4-HMAC-SHA256-PAYLOAD',
        signing.timestamp,
        scopeText(signing.scope),
        previous,
        emptySha256,
        hash.digest('hex'),
      ].join('\n');
      previous = assertSignature(signText(signing.key, text), signature);
    }
    if (sizeBytes === 0) break;
    if ((await reader.line()) !== '') throw new AwsChunkedError('malformed', 'A chunk is longer than its header says');
  }
  const trailer = await readTrailer(reader, trailerNames, signing, previous);
  if (!(await reader.isAtEnd())) throw new AwsChunkedError('malformed', 'There are bytes after the end of the chunked body');
  if (decoded !== decodedSizeBytes)
    throw new AwsChunkedError('incomplete', 'The body is shorter than x-amz-decoded-content-length');
  options.onTrailer?.(trailer);
}

function parseChunkHeader(line: string): { sizeBytes: number; signature: string | undefined } {
  const match = /^([0-9a-fA-F]{1,13})(?:;chunk-signature=([0-9a-f]{64}))?$/.exec(line);
  if (!match) throw new AwsChunkedError('malformed', 'A chunk header is malformed');
  return { sizeBytes: Number.parseInt(match[1]!, 16), signature: match[2] };
}

async function readTrailer(
  reader: Reader,
  names: readonly string[] | undefined,
  signing: ChunkSigning | undefined,
  previous: string,
): Promise<ReadonlyMap<string, string>> {
  const trailer = new Map<string, string>();
  for (let count = 0; ; count++) {
    // The last empty line is missing in the bodies of some clients without a trailer.
    const line = count === 0 && names === undefined && (await reader.isAtEnd()) ? '' : await reader.line();
    if (line === '') break;
    const at = line.indexOf(':');
    if (at < 1 || count >= trailerLinesMax) throw new AwsChunkedError('malformed_trailer', 'The trailer is malformed');
    trailer.set(line.slice(0, at).trim().toLowerCase(), line.slice(at + 1).trim());
  }
  const signature = trailer.get('x-amz-trailer-signature');
  trailer.delete('x-amz-trailer-signature');
  const announced = new Set(names);
  if (trailer.size !== announced.size || ![...trailer.keys()].every((name) => announced.has(name))) {
    throw new AwsChunkedError('malformed_trailer', 'The trailer does not have the headers that x-amz-trailer announces');
  }
  if (signing && names) {
    const text = [...trailer].map(([name, value]) => `${name}:${value}\n`).join('');
    const signed = ['AWS4-HMAC-SHA256-TRAILER', signing.timestamp, scopeText(signing.scope), previous, sha256Hex(text)].join(
      '\n',
    );
    assertSignature(signText(signing.key, signed), signature);
  }
  return trailer;
}

function assertSignature(expected: string, given: string | undefined): string {
  if (given?.length !== expected.length || !timingSafeEqual(Buffer.from(expected), Buffer.from(given))) {
    throw new AwsChunkedError('signature', 'The signature of a chunk does not match the signature we calculated');
  }
  return expected;
}

interface Reader {
  /** The next line without its end. */
  line(): Promise<string>;
  /** At least one and at most `count` of the next bytes. */
  upTo(count: number): Promise<Uint8Array>;
  isAtEnd(): Promise<boolean>;
}

function createReader(source: AsyncIterable<Uint8Array>): Reader {
  const iterator = source[Symbol.asyncIterator]();
  let buffer: Uint8Array = new Uint8Array(0);
  const more = async (): Promise<boolean> => {
    const { done, value } = await iterator.next();
    if (done) return false;
    buffer = buffer.length === 0 ? value : Buffer.concat([buffer, value]);
    return true;
  };
  const isAtEnd = async (): Promise<boolean> => {
    while (buffer.length === 0) if (!(await more())) return true;
    return false;
  };
  const incomplete = (): AwsChunkedError => new AwsChunkedError('incomplete', 'The body ended before its last chunk');
  return {
    isAtEnd,
    async line() {
      for (;;) {
        const end = buffer.indexOf(0x0a);
        if (end > lineSizeBytesMax || (end < 0 && buffer.length > lineSizeBytesMax)) {
          throw new AwsChunkedError('malformed', 'A chunk header is too long');
        }
        if (end >= 0) {
          const line = Buffer.from(buffer.subarray(0, end)).toString('latin1').replace(/\r$/, '');
          buffer = buffer.subarray(end + 1);
          return line;
        }
        if (!(await more())) throw incomplete();
      }
    },
    async upTo(count) {
      if (await isAtEnd()) throw incomplete();
      const piece = buffer.subarray(0, count);
      buffer = buffer.subarray(piece.length);
      return piece;
    },
  };
}
