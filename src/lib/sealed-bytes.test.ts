import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { SealError, sealBytes, sealedChunkSizeBytes, sealedRange, sealedSizeBytes, unsealBytes } from './sealed-bytes.ts';

const key = Buffer.alloc(32, 7);
const chunk = sealedChunkSizeBytes;
const sealedChunk = chunk + 16;

async function* piecesOf(bytes: Uint8Array, sizes: readonly number[] = []): AsyncGenerator<Uint8Array> {
  let at = 0;
  for (const size of sizes) {
    yield bytes.subarray(at, at + size);
    at = Math.min(bytes.length, at + size);
  }
  yield bytes.subarray(at);
}

const seal = async (plain: Uint8Array, sizes?: readonly number[]): Promise<Buffer> =>
  Buffer.concat(await Array.fromAsync(sealBytes(key, piecesOf(plain, sizes))));

async function unseal(sealed: Uint8Array, plainSizeBytes: number, range = { first: 0, last: plainSizeBytes - 1 }, by = key) {
  return Buffer.concat(await Array.fromAsync(unsealBytes(by, piecesOf(sealed), { range, plainSizeBytes })));
}

const interesting = [0, 1, 15, 16, chunk - 1, chunk, chunk + 1, 2 * chunk - 1, 2 * chunk, 2 * chunk + 1, 3 * chunk + 5];
const plainSize = fc.oneof(fc.constantFrom(...interesting), fc.integer({ min: 0, max: 4 * chunk }));

test('what was sealed opens, in whatever pieces it comes', async () => {
  await fc.assert(
    fc.asyncProperty(plainSize, fc.array(fc.integer({ min: 0, max: chunk + 9 }), { maxLength: 6 }), async (size, sizes) => {
      const plain = randomBytes(size);
      const sealed = await seal(plain, sizes);
      assert.equal(sealed.length, sealedSizeBytes(size));
      const range = { first: 0, last: size - 1 };
      const opened = await Array.fromAsync(unsealBytes(key, piecesOf(sealed, sizes), { range, plainSizeBytes: size }));
      assert.deepEqual(Buffer.concat(opened), plain);
    }),
    { numRuns: 60 },
  );
});

test('a part opens from its own chunks alone', async () => {
  const size = 3 * chunk + 5;
  const plain = randomBytes(size);
  const sealed = await seal(plain);
  const position = fc.oneof(fc.constantFrom(...interesting.filter((at) => at < size)), fc.integer({ min: 0, max: size - 1 }));
  await fc.assert(
    fc.asyncProperty(position, position, async (a, b) => {
      const range = { first: Math.min(a, b), last: Math.max(a, b) };
      const { first, last } = sealedRange(range, size);
      assert.equal(first % sealedChunk, 0);
      assert.ok(last - first < range.last - range.first + 2 * sealedChunk + 48);
      assert.deepEqual(await unseal(sealed.subarray(first, last + 1), size, range), plain.subarray(range.first, range.last + 1));
    }),
    { numRuns: 60 },
  );
});

test('every changed bit is seen', async () => {
  for (const size of [0, 10, chunk, 2 * chunk + 3]) {
    const sealed = await seal(randomBytes(size));
    const positions = [
      0,
      sealed.length - 1,
      sealed.length - 16,
      sealed.length - 17,
      chunk - 1,
      chunk,
      sealedChunk - 1,
      sealedChunk,
    ];
    for (const position of new Set(positions.filter((at) => at >= 0 && at < sealed.length))) {
      for (const bit of [1, 128]) {
        const changed = Buffer.from(sealed);
        changed[position] = changed[position]! ^ bit;
        await assert.rejects(unseal(changed, size), SealError, `${size} bytes, changed at ${position}`);
      }
    }
  }
});

const size = 2 * chunk + 3;
const chunksOf = (sealed: Buffer): Buffer[] =>
  [0, 1, 2].map((index) => sealed.subarray(index * sealedChunk, (index + 1) * sealedChunk));
const [other, plain] = [randomBytes(size), randomBytes(size)];

for (const [what, change, plainSizeBytes] of [
  ['cut after a chunk', ([a, b]) => [a, b], size],
  ['cut after a chunk, with its size said to be less', ([a, b]) => [a, b], 2 * chunk],
  ['cut in a chunk', ([a, b, c]) => [a, b, c?.subarray(0, -1)], size],
  ['cut to a few bytes of a chunk', ([a, b, c]) => [a, b, c?.subarray(0, 5)], size],
  ['nothing at all', () => [], size],
  ['nothing at all, said to be empty', () => [], 0],
  ['chunks in another order', ([a, b, c]) => [b, a, c], size],
  ['a chunk twice', ([a, b, c]) => [a, b, b, c], size],
  ['a chunk missing', ([a, , c]) => [a, c], size],
  ['a chunk too many', ([a, b, c]) => [a, b, c, c], size],
  ['bytes too many', ([a, b, c]) => [a, b, c, Buffer.from('x')], size],
  ['the last chunk first', ([, , c]) => [c], 3],
] as const satisfies readonly (readonly [string, (chunks: Buffer[]) => readonly (Buffer | undefined)[], number])[])
  test(`refused: ${what}`, async () => {
    const sealed = Buffer.concat(change(chunksOf(await seal(plain))).filter((piece) => piece !== undefined));
    await assert.rejects(unseal(sealed, plainSizeBytes), SealError);
  });

test('refused: another key, and a chunk that another key sealed', async () => {
  const sealed = await seal(plain);
  await assert.rejects(unseal(sealed, size, undefined, Buffer.alloc(32, 8)), SealError);
  const foreign = Buffer.concat(await Array.fromAsync(sealBytes(Buffer.alloc(32, 8), piecesOf(other))));
  const [a, , c] = chunksOf(sealed);
  await assert.rejects(unseal(Buffer.concat([a!, chunksOf(foreign)[1]!, c!]), size), SealError);
});

test('nothing of a bad chunk is given', async () => {
  const sealed = await seal(plain);
  sealed[sealedChunk] = sealed[sealedChunk]! ^ 1;
  let given = 0;
  await assert.rejects(async () => {
    const range = { first: 0, last: size - 1 };
    for await (const piece of unsealBytes(key, piecesOf(sealed), { range, plainSizeBytes: size })) given += piece.length;
  }, SealError);
  assert.equal(given, chunk);
});
