import assert from 'node:assert/strict';
import { test } from 'node:test';
import { equals, fromJson, type JsonValue, toJson } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { RestSample, SampleSchema } from '#gen/cellar/testing/v1/rest_pb.ts';
import { Fault } from '../fault.ts';
import { JsonCodecs, registryOf } from './json.ts';
import { anySample } from './testing/random-sample.ts';

const registry = registryOf([RestSample]);
const codecs = new JsonCodecs(registry);
const read = codecs.reader(SampleSchema);
const write = codecs.writer(SampleSchema);

test('any message is written and read as the library does', () => {
  fc.assert(
    fc.property(anySample, (message) => {
      const json = toJson(SampleSchema, message, { registry });
      assert.deepEqual(JSON.parse(write(message)), JSON.parse(JSON.stringify(json)));
      const parsed = read(JSON.parse(write(message)));
      assert.ok(equals(SampleSchema, parsed as typeof message, fromJson(SampleSchema, json, { registry })));
    }),
    { numRuns: 1000 },
  );
});

test('unusual forms of values are read as the library does', () => {
  const table: JsonValue[] = [
    { small: '5', count: 5.0, big: 5, huge: '18446744073709551615', ratio: '1e3', weight: 'NaN' },
    { color: 2, colors: ['COLOR_RED', 1, 77] },
    { createTime: '2026-11-20T12:00:00+01:00' },
    { createTime: '1969-12-31T23:59:59.5Z' },
    { createTime: '2026-11-20T12:00:00.123456789Z' },
    { child: null, name: null, tags: null, createTime: null, limit: null, word: null, maybe: null },
    { by_number: { 1: { size_bytes: 3 } }, create_time: '2026-11-20T12:00:00Z' },
    { data: 'aGk', detail: { '@type': 'type.googleapis.com/cellar.testing.v1.Sample.Child', name: 'x' } },
    { word: 'x', step: null },
    { extra: { a: null } },
  ];
  for (const json of table) assert.deepEqual(read(json), fromJson(SampleSchema, json, { registry }), JSON.stringify(json));
});

test('what cannot be read is named', () => {
  const table: [JsonValue, string, RegExp][] = [
    [[], '', /must be a Sample/],
    ['x', '', /must be a Sample/],
    [{ nam: 'x' }, 'nam', /is not a field of Sample/],
    [{ name: 5 }, 'name', /string/],
    [{ name: '\ud800' }, 'name', /cannot be read/],
    [{ child: { inner: { sizeBytes: 'x' } } }, 'child.inner.sizeBytes', /cannot be read/],
    [{ child: 'x' }, 'child', /cannot be read/],
    [{ count: -1 }, 'count', /cannot be read/],
    [{ color: 'BLUE' }, 'color', /BLUE/],
    [{ tags: ['a', 1] }, 'tags', /cannot be read/],
    [{ createTime: 'now' }, 'createTime', /cannot be read/],
    [{ by_number: {}, byNumber: {} }, 'by_number', /there too/],
    [{ word: 'a', step: 1 }, 'step', /set already/],
  ];
  for (const [json, field, message] of table) {
    assert.throws(
      () => read(json),
      (error: unknown) => {
        assert.ok(error instanceof Fault, String(error));
        assert.equal(error.violations[0]?.field ?? '', field, JSON.stringify(json));
        assert.match(error.message, message);
        return true;
      },
    );
  }
});
