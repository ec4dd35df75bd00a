import assert from 'node:assert/strict';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { test } from 'node:test';
import { unauthenticated } from '../fault.ts';
import type { Problem } from './problem.ts';
import { type ServedSample, sampleUser, serveSample } from './testing/serve-sample.ts';

const auth = { authorization: 'Bearer good' };

async function ask(served: ServedSample, path: string, init: RequestInit = {}): Promise<Response> {
  return await fetch(`${served.url}${path}`, { ...init, headers: { ...auth, ...(init.headers as Record<string, string>) } });
}

async function askJson(served: ServedSample, path: string, init?: RequestInit): Promise<unknown> {
  const response = await ask(served, path, init);
  const text = await response.text();
  assert.equal(response.status, 200, text);
  assert.equal(response.headers.get('content-type'), 'application/json');
  return JSON.parse(text);
}

const post = (body: unknown): RequestInit => ({
  method: 'POST',
  body: typeof body === 'string' ? body : JSON.stringify(body),
  headers: { 'content-type': 'application/json' },
});

async function until(state: ServedSample['state'], how: string): Promise<void> {
  while (!state.ended.includes(how)) await new Promise<void>((resolve) => (state.onEnd = resolve));
}

test('paths, queries and bodies become requests', async () => {
  await using served = await serveSample();
  const table: [string, RequestInit | undefined, unknown][] = [
    ['/api/v1/samples/ann', undefined, { name: 'ann' }],
    ['/api/v1/samples/a%2Fb%3Ac', undefined, { name: 'a/b:c' }],
    ['/api/v1/samples/ann/children/bob?child.size_bytes=7', undefined, { name: 'ann', child: { name: 'bob', sizeBytes: '7' } }],
    [
      '/api/v1/samples?tags=a&tags=b+c%26&numbers=-1&numbers=9007199254740993',
      undefined,
      { tags: ['a', 'b c&'], numbers: ['-1', '9007199254740993'] },
    ],
    [
      '/api/v1/samples?color=COLOR_RED&colors=2&colors=COLOR_RED',
      undefined,
      { color: 'COLOR_RED', colors: ['COLOR_GREEN', 'COLOR_RED'] },
    ],
    [
      '/api/v1/samples?flag=true&big=-9223372036854775808&huge=18446744073709551615',
      undefined,
      { flag: true, big: '-9223372036854775808', huge: '18446744073709551615' },
    ],
    [
      '/api/v1/samples?createTime=2026-11-20T12:00:00.5Z&lifetime=1.5s',
      undefined,
      { createTime: '2026-11-20T12:00:00.500Z', lifetime: '1.500s' },
    ],
    [
      '/api/v1/samples?update_mask=display_name,roles&maybe=5&limit=0',
      undefined,
      { updateMask: 'displayName,roles', maybe: '5', limit: 0 },
    ],
    [
      '/api/v1/samples?child.inner.modifyTime=2026-01-01T00:00:00Z&data=aGk&word=x',
      undefined,
      { child: { inner: { modifyTime: '2026-01-01T00:00:00Z' } }, data: 'aGk=', word: 'x' },
    ],
    ['/api/v1/samples?ratio=NaN&weight=-Infinity', undefined, { ratio: 'NaN', weight: '-Infinity' }],
    ['/api/v1/samples?', undefined, {}],
    [
      '/api/v1/samples:echo',
      post({ name: 'x', create_time: '2026-01-01T00:00:00Z', huge: 5, totals: { a: '1' } }),
      { name: 'x', createTime: '2026-01-01T00:00:00Z', huge: '5', totals: { a: '1' } },
    ],
    ['/api/v1/samples:echo', { method: 'POST' }, {}],
    [
      '/api/v1/samples:echo',
      post({
        detail: { '@type': 'type.googleapis.com/cellar.testing.v1.Sample.Child', name: 'in any' },
        extra: { a: [1, null] },
      }),
      { detail: { '@type': 'type.googleapis.com/cellar.testing.v1.Sample.Child', name: 'in any' }, extra: { a: [1, null] } },
    ],
    [
      '/api/v1/samples/ann/child?flag=true',
      { ...post({ sizeBytes: '3' }), method: 'PUT' },
      { name: 'ann', flag: true, child: { sizeBytes: '3' } },
    ],
    ['/api/v1/samples/ann/only-child?huge=4', undefined, { name: 'ann', sizeBytes: '4' }],
  ];
  for (const [path, init, expected] of table) assert.deepEqual(await askJson(served, path, init), expected, path);
});

test('what cannot be done is a problem that says what, why and what to do', async () => {
  await using served = await serveSample({ bodySizeBytesMax: 1000 });
  const json = { 'content-type': 'application/json' };
  const table: [string, RequestInit, number, string, RegExp][] = [
    ['/api/v1/nothing', {}, 404, 'no_such_route', /nothing at \/api\/v1\/nothing/],
    ['/', {}, 404, 'no_such_route', /nothing at/],
    ['/api/v1/samples:echo', { method: 'GET' }, 405, 'method_not_allowed', /GET/],
    ['/api/v1/samples?colour=red', {}, 400, 'invalid_parameter', /"colour" is not known/],
    ['/api/v1/samples?color=blue', {}, 400, 'invalid_parameter', /one of COLOR_UNSPECIFIED, COLOR_RED/],
    ['/api/v1/samples?small=3000000000', {}, 400, 'invalid_parameter', /-2147483648 to 2147483647/],
    ['/api/v1/samples?small=1.5', {}, 400, 'invalid_parameter', /whole number/],
    ['/api/v1/samples?flag=1', {}, 400, 'invalid_parameter', /true or false/],
    ['/api/v1/samples?flag=true&flag=true', {}, 400, 'invalid_parameter', /twice/],
    ['/api/v1/samples?createTime=yesterday', {}, 400, 'invalid_parameter', /time such as/],
    ['/api/v1/samples?name=%ff', {}, 400, 'invalid_parameter', /percent-encoded/],
    ['/api/v1/samples?children=x', {}, 400, 'invalid_parameter', /"children" is not known/],
    ['/api/v1/samples/%ff', {}, 400, 'invalid_path', /"name"/],
    ['/api/v1/blobs/a//b', {}, 400, 'invalid_path', /"path"/],
    ['/api/v1/blobs/a%2fb', {}, 400, 'invalid_path', /slash/],
    ['/api/v1/samples:echo?name=x', { method: 'POST' }, 400, 'invalid_parameter', /"name"/],
    ['/api/v1/samples:echo', post('{"name": "x",}'), 400, 'invalid_json', /line 1, column 14/],
    ['/api/v1/samples:echo', post('{"nam": "x"}'), 400, 'invalid_body', /nam/],
    ['/api/v1/samples:echo', post('{"small": "x"}'), 400, 'invalid_body', /small/],
    ['/api/v1/samples:echo', post('[]'), 400, 'invalid_body', /Sample/],
    [
      '/api/v1/samples:echo',
      { method: 'POST', headers: json, body: new Uint8Array([0x22, 0xff, 0x22]) },
      400,
      'invalid_json',
      /UTF-8/,
    ],
    [
      '/api/v1/samples:echo',
      { ...post({}), headers: { 'content-type': 'text/plain' } },
      415,
      'unsupported_media_type',
      /text\/plain/,
    ],
    ['/api/v1/samples:echo', post({ name: 'x'.repeat(1000) }), 413, 'body_too_large', /1000 bytes/],
    [
      '/api/v1/samples:echo',
      post({ child: { name: 'x'.repeat(101) } }),
      400,
      'invalid_request',
      /child\.name must be at most 100/,
    ],
    ['/api/v1/samples/x', { headers: { 'cellar-timeout-ms': 'soon' } }, 400, 'invalid_header', /cellar-timeout-ms/],
    ['/api/v1/samples/x', { headers: { authorization: 'Bearer bad' } }, 401, 'token_unknown', /token/],
    ['/api/v1/blobs/none', {}, 404, 'no_such_blob', /"none"/],
  ];
  for (const [path, init, status, reason, detail] of table) {
    const response = await ask(served, path, init);
    assert.equal(response.headers.get('content-type'), 'application/problem+json', path);
    const problem = (await response.json()) as Problem;
    assert.equal(response.status, status, `${path} ${JSON.stringify(problem)}`);
    assert.equal(problem.status, status, path);
    assert.equal(problem.reason, reason, path);
    assert.match(problem.detail, detail, path);
    assert.equal(problem.type, `urn:cellar:fault:${reason}`);
  }
});

test('faults of services keep all they say', async () => {
  await using served = await serveSample();
  const fault = {
    code: 'unavailable',
    message: 'Cannot open the cellar: it is flooded',
    reason: 'flood',
    hint: 'Wait.',
    retryAfterMs: '1200',
  };
  const response = await ask(served, '/api/v1/fail', post(fault));
  assert.equal(response.status, 503);
  assert.equal(response.headers.get('retry-after'), '2');
  const { instance, ...problem } = (await response.json()) as Problem;
  assert.deepEqual(problem, {
    type: 'urn:cellar:fault:flood',
    title: 'Not available now',
    status: 503,
    detail: fault.message,
    code: 'unavailable',
    reason: 'flood',
    hint: 'Wait.',
    retryAfterMs: 1200,
  });
  assert.equal(instance, `urn:cellar:trace:${response.headers.get('traceparent')?.split('-')[1]}`);

  const bug = await ask(served, '/api/v1/fail', post({}));
  assert.equal(bug.status, 500);
  assert.doesNotMatch(await bug.text(), /secret/);

  const anybody = await fetch(`${served.url}/api/v1/samples/x`);
  assert.equal(anybody.status, 401);
  assert.equal(anybody.headers.get('www-authenticate'), 'Bearer realm="cellar"');
});

test('HEAD, 405 with Allow, trace, idempotency key and deadline', async () => {
  await using served = await serveSample();
  const head = await ask(served, '/api/v1/samples/ann', { method: 'HEAD' });
  assert.equal(head.status, 200);
  assert.equal(head.headers.get('content-length'), String('{"name":"ann"}'.length));
  const wrong = await ask(served, '/api/v1/count', { method: 'DELETE' });
  assert.equal(wrong.headers.get('allow'), 'GET, POST');
  const trace = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  const traced = await ask(served, '/api/v1/samples/ann', {
    headers: { traceparent: trace, 'idempotency-key': 'k1', 'cellar-timeout-ms': '5000' },
  });
  assert.match(traced.headers.get('traceparent') ?? '', /^00-0af7651916cd43dd8448eb211c80319c-/);
  const call = served.state.calls.at(-1);
  assert.equal(call?.trace.traceId, '0af7651916cd43dd8448eb211c80319c');
  assert.equal(call?.idempotencyKey, 'k1');
  assert.ok(call && call.deadlineMs < performance.now() + 5000);
  assert.equal(call.caller.name, 'ann');
  const late = await ask(served, '/api/v1/count?hang=true&to=1', { headers: { 'cellar-timeout-ms': '20' } });
  assert.match(await late.text(), /"code":"deadline_exceeded"/);
});

test('a stream is NDJSON, its fault the last line or the status', async () => {
  await using served = await serveSample({ keepAliveMs: 20 });
  const whole = await ask(served, '/api/v1/count?to=3');
  assert.equal(whole.headers.get('content-type'), 'application/x-ndjson');
  const lines = (await whole.text()).split('\n').filter(Boolean);
  assert.deepEqual(
    lines.map((line) => JSON.parse(line)),
    [1, 2, 3].map((n) => ({ position: String(n), text: `number ${n}` })),
  );

  const broken = await ask(served, '/api/v1/count?to=3&failAt=3');
  const items = (await broken.text()).split('\n').filter(Boolean);
  assert.equal(items.length, 3);
  const { '@error': problem } = JSON.parse(items[2] ?? '') as { '@error': Problem };
  assert.equal(problem.reason, 'no_such_number');

  const refused = await ask(served, '/api/v1/count?to=3&failAt=1');
  assert.equal(refused.status, 404);

  const hanging = await ask(served, '/api/v1/count?to=1&hang=true');
  const reader = hanging.body?.getReader();
  let text = '';
  while (!text.endsWith('\n\n\n')) text += new TextDecoder().decode((await reader?.read())?.value);
  await reader?.cancel();
  await until(served.state, 'count: canceled');
});

test('a stream is server-sent events when they are asked for', async () => {
  await using served = await serveSample({ keepAliveMs: 20 });
  const events = async (query: string): Promise<string> => {
    const response = await ask(served, `/api/v1/count?${query}`, { headers: { accept: 'text/event-stream' } });
    assert.equal(response.headers.get('content-type'), 'text/event-stream');
    return await response.text();
  };
  assert.equal(
    await events('to=2'),
    'id: 1\ndata: {"position":"1","text":"number 1"}\n\nid: 2\ndata: {"position":"2","text":"number 2"}\n\nevent: end\ndata: {}\n\n',
  );
  assert.match(await events('to=2&failAt=2'), /event: error\ndata: \{.*"reason":"no_such_number".*\}\n\n$/);
  const response = await ask(served, '/api/v1/count?to=0&hang=true', { headers: { accept: 'text/event-stream' } });
  const reader = response.body?.getReader();
  assert.equal(new TextDecoder().decode((await reader?.read())?.value), ': still here\n\n');
  await reader?.cancel();
  await until(served.state, 'count: canceled');
});

test('a stream ends when what let its reader in is withdrawn, before its next message and while there is none', async () => {
  let asked = 0;
  // The first question is that of the request itself.
  const admit = (): typeof sampleUser => {
    asked += 1;
    if (asked > 3) throw unauthenticated('The token is not known', { reason: 'token_unknown' });
    return sampleUser;
  };
  await using served = await serveSample({ keepAliveMs: 20, admit });
  const busy = (await (await ask(served, '/api/v1/count?to=9')).text()).split('\n').filter(Boolean);
  assert.deepEqual([busy.length, /number 2/.test(busy[1] ?? ''), /token_unknown/.test(busy[2] ?? '')], [3, true, true]);
  asked = 0;
  const idle = await (await ask(served, '/api/v1/count?to=0&hang=true')).text();
  assert.match(idle, /^\n+\{"@error":.*token_unknown/);
  await until(served.state, 'count: canceled');
});

test('a client that leaves cancels its call', async () => {
  await using served = await serveSample();
  const leaving = new AbortController();
  const response = await ask(served, '/api/v1/count?to=1&hang=true', { signal: leaving.signal });
  await response.body?.getReader().read();
  leaving.abort();
  await until(served.state, 'count: canceled');
});

test('uploads stream in pieces, with length, type and conditions', async () => {
  await using served = await serveSample({ uploadSizeBytesMax: 5_000_000 });
  const body = Buffer.alloc(1_000_000, 'abcdefg');
  const answer = await askJson(served, '/api/v1/blobs/a/b%20%25.bin', {
    method: 'PUT',
    body,
    headers: { 'content-type': 'image/x' },
  });
  assert.deepEqual(answer, { path: 'a/b %.bin', contentType: 'image/x', received: '1000000', announced: '1000000', pieces: 5 });
  assert.ok(served.state.blobs.get('a/b %.bin')?.data.equals(body));

  const chunked = await ask(served, '/api/v1/blobs/c', {
    method: 'PUT',
    body: new Blob([body]).stream(),
    duplex: 'half',
  } as RequestInit);
  assert.deepEqual(await chunked.json(), { path: 'c', received: '1000000', pieces: 5 });
  const empty = await ask(served, '/api/v1/blobs/e', { method: 'PUT', headers: { 'content-type': 'text/plain' } });
  assert.deepEqual(await empty.json(), { path: 'e', contentType: 'text/plain', pieces: 1 });

  const again = await ask(served, '/api/v1/blobs/c', { method: 'PUT', body, headers: { 'if-none-match': '*' } });
  assert.equal(again.status, 412);
  assert.equal(((await again.json()) as Problem).reason, 'exists');
  const match = await ask(served, '/api/v1/blobs/c', { method: 'PUT', body, headers: { 'if-match': '"x"' } });
  assert.equal(match.status, 501);
  const large = await ask(served, '/api/v1/blobs/l', { method: 'PUT', body: Buffer.alloc(5_000_001) });
  assert.equal(large.status, 413);
  const largeChunked = await ask(served, '/api/v1/blobs/l', {
    method: 'PUT',
    body: new Blob([Buffer.alloc(6_000_000)]).stream(),
    duplex: 'half',
  } as RequestInit);
  assert.equal(largeChunked.status, 413);
  assert.equal(served.state.blobs.has('l'), false);
});

test('an upload that breaks off is not kept; 100-continue is only sent to who may', async () => {
  await using served = await serveSample();
  const socket = connect(served.port, '127.0.0.1');
  socket.write('PUT /api/v1/blobs/x HTTP/1.1\r\nhost: x\r\nauthorization: Bearer good\r\ncontent-length: 1000\r\n\r\nabc');
  await new Promise((resolve) => socket.once('connect', resolve));
  socket.end();
  await until(served.state, 'put: canceled');
  assert.equal(served.state.blobs.has('x'), false);

  const expecting = (authorization: string): Promise<{ status: number | undefined; continued: boolean }> =>
    new Promise((resolve, reject) => {
      const sent = httpRequest(`${served.url}/api/v1/blobs/y`, {
        method: 'PUT',
        headers: { authorization, expect: '100-continue', 'content-length': 3 },
      });
      let continued = false;
      sent.on('continue', () => {
        continued = true;
        sent.end('abc');
      });
      sent.on('response', (response: IncomingMessage) => {
        response.resume();
        resolve({ status: response.statusCode, continued });
        sent.destroy();
      });
      sent.on('error', reject);
      sent.flushHeaders();
    });
  assert.deepEqual(await expecting('Bearer good'), { status: 200, continued: true });
  assert.deepEqual(await expecting('Bearer bad'), { status: 401, continued: false });
});

test('downloads know ranges, conditions and HEAD', async () => {
  await using served = await serveSample();
  const data = Buffer.from('0123456789');
  served.state.blobs.set('d', { contentType: 'text/plain', data, etag: 'v1', modifyTimeMs: 1_700_000_000_000 });
  const modified = 'Tue, 14 Nov 2023 22:13:20 GMT';
  const table: [Record<string, string>, number, string | undefined, string | undefined][] = [
    [{}, 200, '0123456789', undefined],
    [{ range: 'bytes=2-4' }, 206, '234', 'bytes 2-4/10'],
    [{ range: 'bytes=8-' }, 206, '89', 'bytes 8-9/10'],
    [{ range: 'bytes=8-100' }, 206, '89', 'bytes 8-9/10'],
    [{ range: 'bytes=-3' }, 206, '789', 'bytes 7-9/10'],
    [{ range: 'bytes=-30' }, 206, '0123456789', 'bytes 0-9/10'],
    [{ range: 'bytes=10-' }, 416, undefined, 'bytes */10'],
    [{ range: 'bytes=-0' }, 416, undefined, 'bytes */10'],
    [{ range: 'bytes=4-2' }, 200, '0123456789', undefined],
    [{ range: 'bytes=0-1,3-4' }, 200, '0123456789', undefined],
    [{ range: 'lines=1-2' }, 200, '0123456789', undefined],
    [{ range: 'bytes=2-4', 'if-range': '"v1"' }, 206, '234', 'bytes 2-4/10'],
    [{ range: 'bytes=2-4', 'if-range': '"v0"' }, 200, '0123456789', undefined],
    [{ range: 'bytes=2-4', 'if-range': modified }, 206, '234', 'bytes 2-4/10'],
    [{ 'if-none-match': '"v1"' }, 304, '', undefined],
    [{ 'if-none-match': '"v2"' }, 200, '0123456789', undefined],
    [{ 'if-modified-since': modified }, 304, '', undefined],
    [{ 'if-match': '"v2"' }, 412, undefined, undefined],
  ];
  for (const [headers, status, text, contentRange] of table) {
    const response = await ask(served, '/api/v1/blobs/d', { headers });
    const body = await response.text();
    const what = JSON.stringify(headers);
    assert.equal(response.status, status, `${what} ${body}`);
    if (text !== undefined) assert.equal(body, text, what);
    assert.equal(response.headers.get('content-range') ?? undefined, contentRange, what);
    if (status === 200 || status === 206) {
      assert.equal(response.headers.get('content-length'), String(body.length), what);
      assert.equal(response.headers.get('etag'), '"v1"');
      assert.equal(response.headers.get('last-modified'), modified);
      assert.equal(response.headers.get('accept-ranges'), 'bytes');
      assert.match(response.headers.get('content-security-policy') ?? '', /sandbox/);
    }
  }
  const head = await ask(served, '/api/v1/blobs/d', { method: 'HEAD', headers: { range: 'bytes=2-4' } });
  assert.equal(head.status, 206);
  assert.equal(head.headers.get('content-length'), '3');
  const rendered = await ask(served, '/api/v1/blobs/d:render');
  assert.equal(rendered.headers.get('content-type'), 'text/plain');
  assert.equal(await rendered.text(), '0123456789');
});

test('a download is read no faster than it is taken, and left when the client goes', async () => {
  await using served = await serveSample();
  const data = Buffer.alloc(64 * 1024 * 1024);
  served.state.blobs.set('big', { contentType: '', data, etag: 'v1', modifyTimeMs: 0 });
  const response = await ask(served, '/api/v1/blobs/big');
  const reader = response.body?.getReader();
  await reader?.read();
  assert.equal(served.state.ended.length, 0);
  await reader?.cancel();
  await until(served.state, 'get: left');
  assert.ok(!served.state.ended.includes('get: whole'));
});

test('every request is told of once', async () => {
  await using served = await serveSample();
  await ask(served, '/api/v1/samples/ann');
  await ask(served, '/api/v1/nothing');
  assert.deepEqual(
    served.records.map(({ method, status, fault }) => [method?.name, status, fault?.reason]),
    [
      ['cellar.testing.v1.RestSample/Echo', 200, undefined],
      [undefined, 404, 'no_such_route'],
    ],
  );
});
