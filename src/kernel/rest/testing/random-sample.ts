import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { anyPack } from '@bufbuild/protobuf/wkt';
import fc from 'fast-check';
import { type Sample, Sample_ChildSchema, SampleSchema } from '#gen/cellar/testing/v1/rest_pb.ts';

const text = fc.oneof(
  fc.string({ maxLength: 12 }),
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.constantFrom('a:list', '%2F', '&=?#', '+', '…'),
);
const int32 = fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff });
const uint32 = fc.integer({ min: 0, max: 0xffff_ffff });
const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const uint64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const color = fc.constantFrom(0, 1, 2);
// A body may have a value that this version does not know; a query may not.
const openColor = fc.constantFrom(0, 1, 77);
const optional = <T>(of: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(of, { nil: undefined });
const few = <T>(of: fc.Arbitrary<T>): fc.Arbitrary<T[]> => fc.array(of, { maxLength: 3 });
const timestamp = fc.record({
  seconds: fc.bigInt({ min: -62_135_596_800n, max: 253_402_300_799n }),
  nanos: fc.oneof(fc.constantFrom(0, 500_000_000, 1), fc.integer({ min: 0, max: 999_999_999 })),
});
const duration = fc
  .tuple(fc.bigInt({ min: -315_576_000_000n, max: 315_576_000_000n }), fc.integer({ min: 0, max: 999_999_999 }))
  .map(([seconds, nanos]) => ({ seconds, nanos: seconds < 0n ? -nanos : nanos }));

type ChildInit = MessageInitShape<typeof Sample_ChildSchema>;
const child: fc.Arbitrary<ChildInit> = fc.letrec<{ child: ChildInit; inner: ChildInit | undefined }>((tie) => ({
  child: fc.record({
    name: text,
    sizeBytes: uint64,
    inner: tie('inner'),
    modifyTime: optional(timestamp),
  }) as fc.Arbitrary<ChildInit>,
  inner: fc.option(tie('child') as fc.Arbitrary<ChildInit>, { nil: undefined, depthSize: 'small', maxDepth: 3 }),
})).child;

type SampleInit = MessageInitShape<typeof SampleSchema>;

// `equals` says NaN differs from itself, and JSON has no negative zero: tables have the one, nobody has the other.
const positiveZero = (value: number): number => (value === 0 ? 0 : value);

/** Fields that fit in a query string: no maps, no lists of messages. A message in it is present when something is in it. */
const plain = {
  name: text,
  flag: fc.boolean(),
  small: int32,
  count: uint32,
  big: int64,
  huge: uint64,
  ratio: fc.double({ noNaN: true }).map(positiveZero),
  weight: fc.float({ noNaN: true }).map(positiveZero),
  data: fc.uint8Array({ maxLength: 20 }),
  color,
  tags: few(text),
  numbers: few(int64),
  colors: few(color),
  createTime: optional(timestamp),
  lifetime: optional(duration),
  updateMask: optional(
    fc.record({ paths: fc.array(fc.constantFrom('name', 'child.size_bytes', 'by_number'), { minLength: 1, maxLength: 3 }) }),
  ),
  maybe: optional(int64),
  limit: optional(uint32),
  mask: uint64,
  offset: int32,
};

const choice = (children: boolean) =>
  fc.oneof(
    fc.constant({ case: undefined }),
    text.map((value) => ({ case: 'word' as const, value })),
    int64.map((value) => ({ case: 'step' as const, value })),
    ...(children ? [child.map((value) => ({ case: 'other' as const, value: create(Sample_ChildSchema, value) }))] : []),
  );

/** Any message that a URL's query can carry. */
export const querySample: fc.Arbitrary<Sample> = fc
  .record({
    ...plain,
    child: optional(fc.record({ name: text, sizeBytes: fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }) })),
    choice: choice(false),
  })
  .map((init) => create(SampleSchema, init as SampleInit));

/** Any message at all. */
export const anySample: fc.Arbitrary<Sample> = fc
  .record({
    ...plain,
    color: openColor,
    colors: few(openColor),
    child: optional(child),
    children: few(child),
    totals: fc.dictionary(text, int64, { maxKeys: 3 }),
    byNumber: fc.array(fc.tuple(int32, child), { maxLength: 3 }).map((entries) => Object.fromEntries(entries)),
    detail: optional(child.map((value) => anyPack(Sample_ChildSchema, create(Sample_ChildSchema, value)))),
    extra: optional(fc.dictionary(text, fc.jsonValue({ maxDepth: 1 }), { maxKeys: 3 })),
    choice: choice(true),
  })
  .map((init) => create(SampleSchema, init as SampleInit));
