import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Fault } from '../../fault.ts';
import { FrameReader, type FrameType, FrameWriter, greeting, greetingBytes } from './frames.ts';

interface Frame {
  readonly type: number;
  readonly call: number;
  readonly payload: Buffer;
}

function readerOf(frames: Frame[], frameBytesMax = 1 << 20): FrameReader {
  return new FrameReader(frameBytesMax, {
    greeted: () => undefined,
    frame: (type, call, bytes, from, to) => void frames.push({ type, call, payload: Buffer.from(bytes.subarray(from, to)) }),
  });
}

function written(frames: readonly Frame[]): Buffer {
  const chunks: Uint8Array[] = [greeting(1 << 20)];
  const writer = new FrameWriter((some) => void chunks.push(...some));
  for (const { type, call, payload } of frames) writer.frame(type as FrameType, call, payload);
  writer.flush();
  return Buffer.concat(chunks);
}

const frame = fc.record(
  {
    type: fc.integer({ min: 0, max: 255 }),
    call: fc.integer({ min: 0, max: 0xffff_ffff }),
    // Smaller and larger than what is copied, and than a slab.
    payload: fc.oneof(
      { weight: 8, arbitrary: fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)) },
      { weight: 1, arbitrary: fc.integer({ min: 0, max: 300_000 }).map((size) => Buffer.alloc(size, size)) },
    ),
  },
  { noNullPrototype: true },
);

test('what was written is read, however it is cut', () => {
  fc.assert(
    fc.property(
      fc.array(frame, { maxLength: 20 }),
      fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 10 }),
      (frames, cuts) => {
        const bytes = written(frames);
        const read: Frame[] = [];
        const reader = readerOf(read);
        const places = [0, ...cuts.map((cut) => Math.floor(cut * bytes.length)), bytes.length].toSorted((a, b) => a - b);
        for (let index = 1; index < places.length; index++) reader.push(bytes.subarray(places[index - 1], places[index]));
        assert.deepEqual(read, frames);
        assert.equal(reader.partialSinceMs, 0);
      },
    ),
    { numRuns: 200 },
  );
});

test('any bytes end in frames or in a fault that says why', () => {
  fc.assert(
    fc.property(fc.boolean(), fc.uint8Array({ maxLength: 200 }), (isGreeted, noise) => {
      const reader = readerOf([], 1000);
      try {
        reader.push(isGreeted ? Buffer.concat([greeting(1000), noise]) : Buffer.from(noise));
      } catch (error) {
        assert.ok(error instanceof Fault && error.code === 'unavailable' && error.message.length > 30);
      }
    }),
    { numRuns: 500 },
  );
});

test('a frame is refused by its length, before it has arrived', () => {
  const reader = readerOf([], 1000);
  reader.push(greeting(1000));
  assert.throws(() => reader.push(Buffer.from([0xe9, 3, 0, 0])), /1001 bytes is larger than 1000/);
});

test('the frames of one turn are written at once', async () => {
  const writes: number[] = [];
  const writer = new FrameWriter((chunks) => void writes.push(chunks.reduce((sum, { length }) => sum + length, 0)));
  for (let call = 1; call <= 10; call++) writer.frame(1 as FrameType, call, new Uint8Array(11));
  await Promise.resolve().then(() => writer.number(9 as FrameType, 1, 5));
  assert.deepEqual(writes, []);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(writes, [213]);
  assert.equal(greeting(1).length, greetingBytes);
});
