import assert from 'node:assert/strict';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { create, createRegistry, equals, type Message } from '@bufbuild/protobuf';
import { anyUnpack } from '@bufbuild/protobuf/wkt';
import fc from 'fast-check';
import { ContentInfoSchema } from '#gen/cellar/kernel/v1/content_pb.ts';
import { Conformance } from '#gen/cellar/testing/v1/conformance_pb.ts';
import { file_cellar_testing_v1_rest, RestSample, SampleSchema } from '#gen/cellar/testing/v1/rest_pb.ts';
import { type HttpBody, HttpBodySchema } from '#gen/google/api/httpbody_pb.ts';
import { Code, Fault } from '../fault.ts';
import { createRestClient } from './client.ts';
import { anySample, querySample } from './testing/random-sample.ts';
import { type ServedSample, serveSample } from './testing/serve-sample.ts';

const clientOf = (served: ServedSample, token = 'good') => createRestClient(RestSample, { baseUrl: served.url, token });
const registry = createRegistry(file_cellar_testing_v1_rest);
const runs = { numRuns: 300 };

async function faultOf(promise: Promise<unknown>): Promise<Fault> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof Fault, String(error));
  return error;
}

test('a call over HTTP is the same as a direct one, for any message', async () => {
  await using served = await serveSample();
  const client = clientOf(served);
  const same = async (
    method: 'echo' | 'find' | 'getChild',
    message: ReturnType<typeof create<typeof SampleSchema>>,
  ): Promise<void> => {
    const [direct, rest] = await Promise.all([served.direct[method](message), client[method](message)]);
    assert.ok(equals(SampleSchema, rest, direct, { registry, unpackAny: true }), `${method} ${message.name}`);
  };
  await fc.assert(
    fc.asyncProperty(anySample, async (message) => await same('echo', message)),
    runs,
  );
  await fc.assert(
    fc.asyncProperty(querySample, async (message) => await same('find', message)),
    runs,
  );
  const named = querySample.filter(({ name }) => !['', '.', '..'].includes(name) && !name.includes('\0'));
  await fc.assert(
    fc.asyncProperty(named, async (message) => await same('getChild', message)),
    runs,
  );
});

test('streams, and their faults, are the same', async () => {
  await using served = await serveSample();
  const client = clientOf(served);
  const collect = async (stream: AsyncIterable<Message>): Promise<unknown[]> => {
    const all: unknown[] = [];
    try {
      for await (const item of stream) all.push(item);
    } catch (error) {
      assert.ok(error instanceof Fault);
      all.push([error.code, error.reason, error.message]);
    }
    return all;
  };
  for (const request of [{ to: 0 }, { to: 3 }, { to: 3, failAt: 3 }, { to: 3, failAt: 1 }])
    assert.deepEqual(await collect(client.count(request)), await collect(served.direct.count(request)));
});

test('uploads and downloads stream, with what the content is', async () => {
  await using served = await serveSample();
  const client = clientOf(served);
  const data = Buffer.alloc(300_000, 'xyz');
  const path = 'a b/ü:list';
  async function* requests(sizeBytes?: bigint) {
    yield { path, content: { contentType: 'text/x' }, ...(sizeBytes === undefined ? {} : { sizeBytes }) };
    yield { content: { data: data.subarray(0, 100_000) } };
    yield { content: { data: data.subarray(100_000) } };
  }
  const put = await client.putBlob(requests(300_000n));
  assert.equal(put.path, path);
  assert.equal(put.received, 300_000n);
  assert.equal(put.announced, 300_000n);
  assert.equal(put.contentType, 'text/x');
  assert.equal((await client.putBlob(requests())).announced, 0n);
  async function* again() {
    yield { path, ifAbsent: true };
    yield { content: { data: Buffer.alloc(1_000_000) } };
  }
  assert.equal((await faultOf(client.putBlob(again()))).reason, 'exists');

  const read = async (stream: AsyncIterable<HttpBody>) => {
    const all = await Array.fromAsync(stream);
    const info = all[0]?.extensions[0] && anyUnpack(all[0].extensions[0], ContentInfoSchema);
    return { type: all[0]?.contentType, info, data: Buffer.concat(all.map((piece) => piece.data)).toString() };
  };
  for (const part of [{}, { firstByte: 299_990n }, { firstByte: 10n, length: 5n }, { suffixLength: 4n }]) {
    const direct = await read(served.direct.getBlob({ path, ...part }));
    assert.deepEqual(await read(client.getBlob({ path, ...part })), direct);
  }
  const beyond = await read(client.getBlob({ path, firstByte: 300_000n }));
  assert.equal(beyond.info?.sizeBytes, 300_000n);
  assert.equal(beyond.info?.length, 0n);
  assert.deepEqual(
    await client.renderBlob({ path }),
    create(HttpBodySchema, { contentType: 'text/x', data: new Uint8Array(data) }),
  );
});

test('faults arrive whole', async () => {
  await using served = await serveSample();
  const client = clientOf(served);
  const fault = await faultOf(
    client.fail({
      code: 'aborted',
      message: 'Cannot save: it has changed',
      reason: 'changed',
      hint: 'Read it again.',
      retryAfterMs: 5n,
    }),
  );
  assert.equal(fault.message, 'Cannot save: it has changed');
  assert.deepEqual([fault.code, fault.reason, fault.hint, fault.retryAfterMs], ['aborted', 'changed', 'Read it again.', 5]);
  const invalid = await faultOf(client.echo({ child: { name: 'x'.repeat(101) } }));
  assert.deepEqual(invalid.violations, [{ field: 'child.name', message: 'must be at most 100 characters long' }]);
  assert.equal((await faultOf(clientOf(served, 'bad').echo({}))).code, Code.Unauthenticated);
});

test('what never gets to the server is a clear fault', async () => {
  const listener = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => listener.once('listening', resolve));
  const { port } = listener.address() as AddressInfo;
  await new Promise((resolve) => listener.close(resolve));
  const refused = await faultOf(createRestClient(RestSample, { baseUrl: `http://127.0.0.1:${port}` }).echo({}));
  assert.equal(refused.code, Code.Unavailable);
  assert.equal(refused.message, `Cannot reach http://127.0.0.1:${port}: the connection was refused`);

  await using served = await serveSample();
  const client = clientOf(served);
  assert.equal((await faultOf(client.getChild({ name: '..' }))).reason, 'invalid_parameter');
  assert.equal((await faultOf(client.find({ children: [{}] }))).reason, 'invalid_parameter');
  assert.equal((await faultOf(client.getBlob({ path: 'a/../b' })[Symbol.asyncIterator]().next())).reason, 'invalid_parameter');
  const conformance = createRestClient(Conformance, { baseUrl: served.url });
  assert.equal((await faultOf(conformance.echo({}))).code, Code.Unimplemented);

  const aborted = new AbortController();
  aborted.abort();
  assert.equal((await faultOf(client.echo({}, { signal: aborted.signal }))).code, Code.Canceled);
  const stream = client.count({ to: 1, hang: true }, { timeoutMs: 50 })[Symbol.asyncIterator]();
  await stream.next();
  assert.equal((await faultOf(stream.next())).code, Code.DeadlineExceeded);
  const foreign: typeof fetch = async () => new Response('<html>', { status: 502 });
  const proxied = await faultOf(createRestClient(RestSample, { baseUrl: 'http://x', fetch: foreign }).echo({}));
  assert.deepEqual([proxied.code, proxied.reason], [Code.Unavailable, 'foreign_answer']);
});

test('leaving a stream ends its call', async () => {
  await using served = await serveSample();
  for await (const _ of clientOf(served).count({ to: 1, hang: true })) break;
  while (!served.state.ended.includes('count: canceled')) await new Promise<void>((resolve) => (served.state.onEnd = resolve));
});
