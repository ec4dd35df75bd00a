import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AwsChunkedError, type AwsChunkedOptions, type ChunkSigning, decodeAwsChunked } from './aws-chunked.ts';
import { encodeAwsChunked } from './aws-chunked-encode.ts';
import { signingKey } from './sigv4.ts';

const scope = { date: '20130524', region: 'us-east-1', service: 's3' };

/** The published example "Example Calculations" of "Signature calculations ... multiple chunks": 65 KiB of `a`. */
const signing: ChunkSigning = {
  key: signingKey('wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY', scope),
  scope,
  timestamp: '20130524T000000Z',
  seed: '4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9',
};
const chunks = [Buffer.alloc(65_536, 'a'), Buffer.alloc(1_024, 'a')];
const decodedSizeBytes = 66_560;

async function* pieces(bytes: Uint8Array, sizeBytes: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += sizeBytes) yield bytes.subarray(at, at + sizeBytes);
}

async function decode(bytes: Uint8Array, options: Partial<AwsChunkedOptions> = {}, pieceSizeBytes = 1_000): Promise<Buffer> {
  return Buffer.concat(
    await Array.fromAsync(decodeAwsChunked(pieces(bytes, pieceSizeBytes), { signing, decodedSizeBytes, ...options })),
  );
}

const failsWith = (problem: string) => (error: unknown) => error instanceof AwsChunkedError && error.problem === problem;

test('the published example has the published signatures', () => {
  const text = encodeAwsChunked(chunks, signing).toString();
  assert.deepEqual(
    [...text.matchAll(/chunk-signature=(\w+)/g)].map((match) => match[1]),
    [
      'ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648',
      '0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497',
      'b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9',
    ],
  );
  assert.equal(text.length, 66_824);
});

for (const pieceSizeBytes of [1, 7, 1_000, 100_000]) {
  test(`decodes what was encoded, in pieces of ${pieceSizeBytes}`, async () => {
    assert.ok((await decode(encodeAwsChunked(chunks, signing), {}, pieceSizeBytes)).equals(Buffer.concat(chunks)));
  });
}

test('a trailer comes out once everything was verified', async () => {
  for (const chunkSigning of [signing, undefined]) {
    const body = encodeAwsChunked(chunks, chunkSigning, { 'x-amz-checksum-crc32c': 'sOO8/Q==' });
    const found: ReadonlyMap<string, string>[] = [];
    const trailerNames = ['x-amz-checksum-crc32c'];
    await decode(body, { signing: chunkSigning, trailerNames, onTrailer: (trailer) => found.push(trailer) });
    assert.deepEqual(found, [new Map([['x-amz-checksum-crc32c', 'sOO8/Q==']])]);
  }
});

test('a changed body, signature or order of chunks is refused', async () => {
  const good = encodeAwsChunked(chunks, signing);
  const spoil = (at: number): Buffer => {
    const copy = Buffer.from(good);
    copy[at] = copy[at] === 0x61 ? 0x62 : 0x61;
    return copy;
  };
  const secondHeader = good.indexOf('400;chunk-signature=');
  for (const at of [100, 30, secondHeader + 25, secondHeader + 200, good.length - 10]) {
    await assert.rejects(decode(spoil(at)), failsWith('signature'), `at ${at}`);
  }
  await assert.rejects(decode(encodeAwsChunked(chunks)), failsWith('signature'));
  await assert.rejects(decode(encodeAwsChunked(chunks, { ...signing, seed: '0'.repeat(64) })), failsWith('signature'));
});

test('a trailer that was changed, left out or not announced is refused', async () => {
  const trailer = { 'x-amz-checksum-crc32c': 'sOO8/Q==' };
  const trailerNames = Object.keys(trailer);
  const good = encodeAwsChunked(chunks, signing, trailer);
  const changed = Buffer.from(good.toString('latin1').replace('sOO8', 'sOO9'), 'latin1');
  await assert.rejects(decode(changed, { trailerNames }), failsWith('signature'));
  await assert.rejects(decode(good, { trailerNames: [] }), failsWith('malformed_trailer'));
  await assert.rejects(decode(good), failsWith('malformed_trailer'));
  await assert.rejects(decode(encodeAwsChunked(chunks, signing, {}), { trailerNames }), failsWith('malformed_trailer'));
  const unsigned = Buffer.from(good.toString('latin1').replace(/x-amz-trailer-signature.*\r\n/, ''), 'latin1');
  await assert.rejects(decode(unsigned, { trailerNames }), failsWith('signature'));
});

test('lengths must be what they are said to be', async () => {
  const good = encodeAwsChunked(chunks, signing);
  await assert.rejects(decode(good, { decodedSizeBytes: 66_559 }), failsWith('wrong_length'));
  await assert.rejects(decode(good, { decodedSizeBytes: 66_561 }), failsWith('incomplete'));
  for (const length of [0, 50, 30_000, good.length - 90])
    await assert.rejects(decode(good.subarray(0, length)), failsWith('incomplete'), String(length));
  await assert.rejects(decode(Buffer.concat([good, Buffer.from('more')])), failsWith('malformed'));
});

test('nonsense is refused', async () => {
  const unsigned = { signing: undefined, decodedSizeBytes: 4 };
  for (const text of ['nonsense\r\n', '-1\r\n', '4;a=b\r\nabcd\r\n0\r\n\r\n', '3\r\nabcd\r\n0\r\n\r\n', 'f'.repeat(5_000)]) {
    await assert.rejects(decode(Buffer.from(text), unsigned), failsWith('malformed'), text.slice(0, 20));
  }
  assert.equal((await decode(Buffer.from('4\r\nabcd\r\n0\r\n\r\n'), unsigned)).toString(), 'abcd');
});
