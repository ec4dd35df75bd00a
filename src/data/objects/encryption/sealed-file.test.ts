import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { SealError } from '#lib/sealed-bytes.ts';
import type { Envelope } from './envelope.ts';
import { readSealedBytes, readSealedFile, sealSegment, segmentSizeBytes } from './sealed-file.ts';

const envelope: Envelope = { kind: 'sse_s3', by: 'k1', dataKey: 'AAAA' };
const dataKey = Buffer.alloc(32, 3);

/** Part numbers are not always without gaps. */
const numberOf = (index: number): number => index * 3;
const segmentsOf = (sizes: readonly number[]) => sizes.map((sizeBytes, index) => ({ partNumber: numberOf(index), sizeBytes }));

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

async function fileOf(t: Pick<TestContext, 'after'>, parts: readonly Uint8Array[], change = (bytes: Buffer) => bytes) {
  const folder = mkdtempSync(join(tmpdir(), 'cellar-seal-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const pieces: Uint8Array[] = [];
  for (const [index, part] of parts.entries())
    pieces.push(...(await Array.fromAsync(sealSegment(envelope, dataKey, numberOf(index), once(part)))));
  const bytes = change(Buffer.concat(pieces));
  writeFileSync(join(folder, 'f'), bytes);
  const fd = openSync(join(folder, 'f'), 'r');
  t.after(() => closeSync(fd));
  return { fd, sizeBytes: bytes.length, path: join(folder, 'f') };
}

async function plainOf(fd: number, sizes: readonly number[], range?: { first: number; last: number }): Promise<Buffer> {
  const all = { first: 0, last: sizes.reduce((sum, size) => sum + size, 0) - 1 };
  const segments = segmentsOf(sizes);
  return Buffer.concat(await Array.fromAsync(readSealedBytes(fd, { envelope, segments }, dataKey, range ?? all)));
}

test('a file of several segments says what it is, and every part of it opens', async (t) => {
  const parts = [200_000, 0, 65_536, 1, 300_001].map((size) => randomBytes(size));
  const plain = Buffer.concat(parts);
  const segments = parts.map(({ length }) => length);
  const { fd, sizeBytes } = await fileOf(t, parts);
  assert.equal(
    sizeBytes,
    segments.reduce((sum, size) => sum + segmentSizeBytes(envelope, size), 0),
  );
  assert.deepEqual(await readSealedFile(fd, sizeBytes), { envelope, segments: segmentsOf(segments) });
  assert.deepEqual(await plainOf(fd, segments), plain);
  const position = fc.integer({ min: 0, max: plain.length - 1 });
  await fc.assert(
    fc.asyncProperty(position, position, async (a, b) => {
      const range = { first: Math.min(a, b), last: Math.max(a, b) };
      assert.deepEqual(await plainOf(fd, segments, range), plain.subarray(range.first, range.last + 1));
    }),
    { numRuns: 40 },
  );
});

test('nothing is sealed too', async (t) => {
  const { fd, sizeBytes } = await fileOf(t, [Buffer.alloc(0)]);
  assert.deepEqual(await readSealedFile(fd, sizeBytes), { envelope, segments: segmentsOf([0]) });
  assert.equal((await plainOf(fd, [0])).length, 0);
  const empty = await fileOf(t, [Buffer.alloc(0)], () => Buffer.alloc(0));
  await assert.rejects(plainOf(empty.fd, [0]), SealError);
});

test('no plain bytes lie on the disk', async (t) => {
  const { path } = await fileOf(t, [Buffer.from('a secret text '.repeat(10_000))]);
  assert.equal(readFileSync(path).includes('secret'), false);
});

test('parts that changed places, are missing or were cut are seen', async (t) => {
  const parts = ['first', 'other'].map((text) => Buffer.from(text.repeat(20_000)));
  const segment = segmentSizeBytes(envelope, 100_000);
  const cut = await fileOf(t, parts, (bytes) => bytes.subarray(0, segment));
  await assert.rejects(plainOf(cut.fd, [100_000, 100_000]), SealError);
  const swapped = await fileOf(t, parts, (bytes) => Buffer.concat([bytes.subarray(segment), bytes.subarray(0, segment)]));
  await assert.rejects(plainOf(swapped.fd, [100_000, 100_000]), SealError);
  const changed = await fileOf(t, parts, (bytes) => {
    bytes[segment - 60] = bytes[segment - 60]! ^ 1;
    return bytes;
  });
  await assert.rejects(plainOf(changed.fd, [100_000, 100_000]), SealError);
});

for (const [what, change] of [
  ['an empty file', () => Buffer.alloc(0)],
  ['a text', () => Buffer.from('hello '.repeat(100))],
  ['one cut at the end', (bytes: Buffer) => bytes.subarray(0, -1)],
  ['one cut at the beginning', (bytes: Buffer) => bytes.subarray(1)],
  ['the end alone', (bytes: Buffer) => bytes.subarray(-24)],
] as const)
  test(`${what} is no sealed file`, async (t) => {
    const { fd, sizeBytes } = await fileOf(t, [Buffer.from('x')], change);
    assert.equal(await readSealedFile(fd, sizeBytes), undefined);
  });
