import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Trace } from './trace.ts';

test('both ids survive the way over the wire, made before or by it', () => {
  const parsed = Trace.parse('00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01');
  for (const trace of [new Trace(), parsed, parsed.child(), new Trace().child()]) {
    const { hex } = trace;
    assert.match(hex, /^[0-9a-f]{48}$/);
    const other = Trace.fromHex(hex);
    assert.deepEqual([other.traceId, other.spanId, other.hex], [trace.traceId, trace.spanId, hex]);
    assert.equal(other.child().traceId, trace.traceId);
    assert.notEqual(other.child().spanId, trace.spanId);
  }
  assert.equal(parsed.child().traceId, '0af7651916cd43dd8448eb211c80319c');
});

test('a malformed header begins a new trace', () => {
  for (const header of [undefined, '', 'x', '00-0af7651916cd43dd8448eb211c80319c-b7ad-01']) {
    assert.match(Trace.parse(header).toString(), /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
  }
});
