import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { AwsChunkedError, type AwsChunkedProblem, type ChunkSigning, decodeAwsChunked } from '#lib/aws-chunked.ts';
import { type ChecksumAlgorithm, checksumSizeBytes, createChecksum, isChecksumAlgorithm } from '#lib/checksum.ts';
import { unsignedPayload } from '#lib/sigv4.ts';
import type { Checksums, ObjectBody } from './backend.ts';
import { type S3Code, S3Error } from './errors.ts';

export interface BodyOptions {
  readonly request: IncomingMessage;
  readonly headers: ReadonlyMap<string, string>;
  /** What the signature says about the body: a SHA-256, or one of the `UNSIGNED-` and `STREAMING-` words. */
  readonly payloadHash: string;
  /** Needed for signed chunks. */
  readonly signing: ChunkSigning | undefined;
  readonly sizeBytesMax: number;
  /** Made of the bytes when the sender chose no checksum. */
  readonly checksumAlgorithm?: ChecksumAlgorithm | undefined;
  /** The checksums in the headers are about something else than these bytes. */
  readonly ignoresChecksums?: boolean;
  /** Called once, just before the first byte is wanted. */
  readonly onStart: () => void;
}

/**
 * The body of a request as bytes that are checked while they pass: length, signatures, Content-MD5 and checksums.
 *
 * How it is encoded is decided by the signed `x-amz-content-sha256` alone: other headers could have been changed on the way.
 * Errors at once: `MissingContentLength`, `EntityTooLarge`, `InvalidDigest`, `InvalidRequest`. Errors while reading or from
 * `verify`: `IncompleteBody`, `BadDigest`, `XAmzContentSHA256Mismatch`, `SignatureDoesNotMatch`, `MalformedTrailerError`.
 */
export function createBody(options: BodyOptions): ObjectBody {
  const { request, headers, payloadHash } = options;
  const hasSignedChunks = payloadHash.startsWith('STREAMING-AWS4-HMAC-SHA256-PAYLOAD');
  if (hasSignedChunks && !options.signing) throw new S3Error('InvalidRequest', 'Signed chunks need a signed request');
  const sizeBytes = declaredSize(headers, payloadHash, options.sizeBytesMax);
  const expectedMd5 = readContentMd5(headers);
  const expected = options.ignoresChecksums ? undefined : readChecksumHeader(headers);
  const trailerNames = payloadHash.endsWith('-TRAILER') ? readTrailerNames(headers) : undefined;
  const fromTrailer = trailerNames?.map(checksumOfHeader).find((found) => found !== undefined);
  const promised = expected?.algorithm ?? fromTrailer;
  if (!options.ignoresChecksums) assertAnnounced(headers, promised);
  const algorithm = promised ?? options.checksumAlgorithm;
  const md5 = createHash('md5');
  const sha256 = isHash(payloadHash) ? createHash('sha256') : undefined;
  const checksum = algorithm && createChecksum(algorithm);
  let trailer: ReadonlyMap<string, string> = new Map();

  const decoded = (): AsyncIterable<Uint8Array> => {
    const raw: AsyncIterable<Uint8Array> = request.iterator({ destroyOnReturn: false });
    if (sha256 || payloadHash === unsignedPayload) return raw;
    return decodeAwsChunked(raw, {
      signing: hasSignedChunks ? options.signing : undefined,
      // Only bodies whose hash was signed come without a length.
      decodedSizeBytes: sizeBytes ?? 0,
      trailerNames,
      onTrailer: (received) => {
        trailer = received;
      },
    });
  };

  async function* bytes(): AsyncGenerator<Uint8Array> {
    options.onStart();
    let received = 0;
    try {
      for await (const chunk of decoded()) {
        received += chunk.length;
        if (received > (sizeBytes ?? options.sizeBytesMax)) throw tooLong(sizeBytes, received, options.sizeBytesMax);
        md5.update(chunk);
        sha256?.update(chunk);
        checksum?.update(chunk);
        yield chunk;
      }
    } catch (error) {
      throw bodyError(error, request);
    }
    if (sizeBytes !== undefined && received !== sizeBytes) throw new S3Error('IncompleteBody');
  }

  return {
    bytes: bytes(),
    sizeBytes,
    async verify() {
      const digest = md5.digest();
      if (expectedMd5 && !expectedMd5.equals(digest))
        throw new S3Error('BadDigest', 'The Content-MD5 you specified did not match what we received');
      if (sha256 && sha256.digest('hex') !== payloadHash) throw new S3Error('XAmzContentSHA256Mismatch');
      return {
        md5Hex: digest.toString('hex'),
        checksums: checksum && algorithm ? verifyChecksum(algorithm, checksum.digest()) : {},
      };
    },
  };

  function verifyChecksum(name: ChecksumAlgorithm, digest: Buffer): Checksums {
    const value = digest.toString('base64');
    const given = expected?.value ?? trailer.get(`x-amz-checksum-${name}`);
    if (promised && given !== value)
      throw new S3Error('BadDigest', `The ${name.toUpperCase()} you specified did not match the calculated checksum`);
    return { [name]: value };
  }
}

const payloadKinds = new Set([
  unsignedPayload,
  'STREAMING-AWS4-HMAC-SHA256-PAYLOAD',
  'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER',
  'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
]);

/** Errors: `InvalidArgument` for a value of `x-amz-content-sha256` that we do not know. */
export function assertPayloadHash(payloadHash: string): void {
  if (payloadKinds.has(payloadHash) || isHash(payloadHash)) return;
  if (payloadHash.startsWith('STREAMING-AWS4-ECDSA'))
    throw new S3Error('NotImplemented', 'Signature Version 4A is not implemented');
  throw new S3Error(
    'InvalidArgument',
    'x-amz-content-sha256 must be UNSIGNED-PAYLOAD, a STREAMING- kind, or a valid sha256 value.',
    {
      fields: { ArgumentName: 'x-amz-content-sha256', ArgumentValue: payloadHash },
    },
  );
}

/** Unit: bytes; `undefined` when the body comes in chunks of HTTP and its signed hash says where it ends. */
function declaredSize(headers: ReadonlyMap<string, string>, payloadHash: string, sizeBytesMax: number): number | undefined {
  const isStreaming = payloadHash.startsWith('STREAMING-');
  const text = headers.get(isStreaming ? 'x-amz-decoded-content-length' : 'content-length');
  const isChunked = headers.get('transfer-encoding')?.toLowerCase() === 'chunked';
  if (text === undefined && isChunked && isHash(payloadHash)) return undefined;
  if (text === undefined || !/^\d{1,15}$/.test(text)) throw new S3Error('MissingContentLength');
  const sizeBytes = Number(text);
  if (sizeBytes > sizeBytesMax) throw tooLong(undefined, sizeBytes, sizeBytesMax);
  return sizeBytes;
}

const isHash = (payloadHash: string): boolean => /^[0-9a-f]{64}$/.test(payloadHash);

function tooLong(declaredBytes: number | undefined, sizeBytes: number, sizeBytesMax: number): S3Error {
  if (declaredBytes !== undefined) return new S3Error('IncompleteBody', 'The body is longer than its declared length');
  const fields = { ProposedSize: String(sizeBytes), MaxSizeAllowed: String(sizeBytesMax) };
  return new S3Error('EntityTooLarge', undefined, { fields });
}

/** Errors: `InvalidDigest`. */
export function readContentMd5(headers: ReadonlyMap<string, string>): Buffer | undefined {
  const text = headers.get('content-md5');
  if (text === undefined) return undefined;
  const digest = Buffer.from(text, 'base64');
  if (digest.length !== 16 || digest.toString('base64') !== text) throw new S3Error('InvalidDigest');
  return digest;
}

/** The checksum that the headers promise. Errors: `InvalidRequest` for several, or for what is none. */
export function readChecksumHeader(
  headers: ReadonlyMap<string, string>,
): { algorithm: ChecksumAlgorithm; value: string } | undefined {
  const found = [...headers].flatMap(([name, value]) => {
    const algorithm = checksumOfHeader(name);
    return algorithm ? [{ algorithm, value }] : [];
  });
  const [first, second] = found;
  if (second)
    throw new S3Error('InvalidRequest', 'Expecting a single x-amz-checksum- header. Multiple checksum types are not allowed.');
  if (first && Buffer.from(first.value, 'base64').length !== checksumSizeBytes[first.algorithm]) {
    throw new S3Error('BadDigest', `Value for x-amz-checksum-${first.algorithm} header is invalid.`);
  }
  return first;
}

/** Errors: `InvalidRequest` when the SDK says that it sends a checksum and sends none, or another. */
function assertAnnounced(headers: ReadonlyMap<string, string>, promised: ChecksumAlgorithm | undefined): void {
  const announced = headers.get('x-amz-sdk-checksum-algorithm')?.toLowerCase();
  if (announced === undefined || announced === promised) return;
  if (!isChecksumAlgorithm(announced))
    throw new S3Error('InvalidRequest', 'Value for x-amz-sdk-checksum-algorithm header is invalid.');
  throw new S3Error(
    'InvalidRequest',
    'x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.',
  );
}

const readTrailerNames = (headers: ReadonlyMap<string, string>): string[] =>
  (headers.get('x-amz-trailer') ?? '')
    .split(',')
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== '');

function checksumOfHeader(name: string): ChecksumAlgorithm | undefined {
  const word = name.startsWith('x-amz-checksum-') ? name.slice('x-amz-checksum-'.length) : '';
  return isChecksumAlgorithm(word) ? word : undefined;
}

const byProblem: Readonly<Record<AwsChunkedProblem, S3Code>> = {
  incomplete: 'IncompleteBody',
  malformed: 'InvalidRequest',
  wrong_length: 'IncompleteBody',
  signature: 'SignatureDoesNotMatch',
  malformed_trailer: 'MalformedTrailerError',
};

function bodyError(error: unknown, request: IncomingMessage): unknown {
  if (error instanceof AwsChunkedError) return new S3Error(byProblem[error.problem], error.message, { cause: error });
  if (request.errored === error || request.destroyed) return new S3Error('IncompleteBody', undefined, { cause: error });
  return error;
}
