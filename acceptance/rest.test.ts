import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Product, startProduct } from './harness.ts';

interface Node {
  readonly path: string;
  readonly name: string;
  readonly kind: string;
  readonly sizeBytes: string;
  readonly etag: string;
}

let product: Product;
before(async () => {
  product = await startProduct();
});
after(async () => {
  await product?.[Symbol.asyncDispose]();
});

async function names(path: string): Promise<string[]> {
  const answer = await product.rest('GET', `/api/v1/tree/${path}:list`);
  assert.equal(answer.status, 200, await answer.clone().text());
  return ((await answer.json()) as { nodes?: Node[] }).nodes?.map(({ name }) => name) ?? [];
}

test('the root lists the datasources', async () => {
  const answer = await product.rest('GET', '/api/v1/tree:list');
  const { nodes } = (await answer.json()) as { nodes: Node[] };
  assert.deepEqual(nodes.map(({ name }) => name).toSorted(), ['docs', 'media']);
});

test('files and folders, from making to deleting', async (t) => {
  const content = randomBytes(300_000);

  await t.test('mkdir', async () => {
    const answer = await product.rest('POST', '/api/v1/tree/docs/a/b:mkdir', { json: {} });
    assert.equal(answer.status, 200, await answer.clone().text());
    assert.deepEqual(await names('docs/a'), ['b']);
  });

  await t.test('upload', async () => {
    const answer = await product.rest('PUT', '/api/v1/content/docs/a/b/file%20%C3%A4.bin', {
      body: content,
      headers: { 'content-type': 'application/octet-stream' },
    });
    assert.equal(answer.status, 200, await answer.clone().text());
    const node = (await answer.json()) as Node;
    assert.equal(node.path, 'docs/a/b/file ä.bin');
    assert.equal(node.sizeBytes, String(content.length));
    assert.ok(readFileSync(join(product.folder('docs'), 'a', 'b', 'file ä.bin')).equals(content));
    assert.deepEqual(await names('docs/a/b'), ['file ä.bin']);
  });

  await t.test('download, whole and in part', async () => {
    const path = '/api/v1/content/docs/a/b/file%20%C3%A4.bin';
    const whole = await product.rest('GET', path);
    assert.equal(whole.status, 200);
    assert.equal(whole.headers.get('content-length'), String(content.length));
    assert.equal(digest(await whole.bytes()), digest(content));
    for (const [range, first, last] of [
      ['bytes=0-9', 0, 9],
      ['bytes=1000-', 1000, content.length - 1],
      ['bytes=-5', content.length - 5, content.length - 1],
    ] as const) {
      const part = await product.rest('GET', path, { headers: { range } });
      assert.equal(part.status, 206);
      assert.equal(part.headers.get('content-range'), `bytes ${first}-${last}/${content.length}`);
      assert.equal(digest(await part.bytes()), digest(content.subarray(first, last + 1)));
    }
    const beyond = await product.rest('GET', path, { headers: { range: `bytes=${content.length}-` } });
    assert.equal(beyond.status, 416);
    const etag = whole.headers.get('etag');
    assert.ok(etag);
    assert.equal((await product.rest('GET', path, { headers: { 'if-none-match': etag } })).status, 304);
  });

  await t.test('an upload that must be new is refused when the file is there', async () => {
    const answer = await product.rest('PUT', '/api/v1/content/docs/a/b/file%20%C3%A4.bin', {
      body: 'other',
      headers: { 'if-none-match': '*' },
    });
    assert.ok([409, 412].includes(answer.status), String(answer.status));
    assert.ok(readFileSync(join(product.folder('docs'), 'a', 'b', 'file ä.bin')).equals(content));
  });

  await t.test('copy, also to another datasource', async () => {
    for (const target of ['docs/a/copy.bin', 'media/below/copy.bin']) {
      const answer = await product.rest('POST', '/api/v1/tree/docs/a/b/file%20%C3%A4.bin:copy', { json: { target } });
      assert.equal(answer.status, 200, await answer.clone().text());
      assert.equal(((await answer.json()) as Node).path, target);
    }
    assert.ok(readFileSync(join(product.folder('media'), 'below', 'copy.bin')).equals(content));
  });

  await t.test('move a file, a folder', async () => {
    const file = await product.rest('POST', '/api/v1/tree/docs/a/copy.bin:move', { json: { target: 'docs/moved.bin' } });
    assert.equal(file.status, 200, await file.clone().text());
    const folder = await product.rest('POST', '/api/v1/tree/docs/a:move', { json: { target: 'docs/z' } });
    assert.equal(folder.status, 200, await folder.clone().text());
    assert.deepEqual((await names('docs')).toSorted(), ['moved.bin', 'z']);
    assert.deepEqual(await names('docs/z/b'), ['file ä.bin']);
  });

  await t.test('moving onto something is refused unless it is to be replaced', async () => {
    const path = '/api/v1/tree/docs/moved.bin:move';
    const refused = await product.rest('POST', path, { json: { target: 'docs/z/b/file ä.bin' } });
    assert.equal(refused.status, 409);
    const done = await product.rest('POST', path, { json: { target: 'docs/z/b/file ä.bin', overwrite: true } });
    assert.equal(done.status, 200, await done.clone().text());
  });

  await t.test('delete', async () => {
    assert.ok([400, 409, 412].includes((await product.rest('DELETE', '/api/v1/tree/docs/z')).status));
    const answer = await product.rest('DELETE', '/api/v1/tree/docs/z?recursive=true');
    assert.equal(answer.status, 200, await answer.clone().text());
    assert.deepEqual(await names('docs'), []);
    assert.equal((await product.rest('GET', '/api/v1/tree/docs/z')).status, 404);
  });
});

test('pages fit together', async () => {
  for (let at = 0; at < 25; at++)
    await product.rest('PUT', `/api/v1/content/media/pages/${String(at).padStart(2, '0')}`, { body: 'x' });
  const seen: string[] = [];
  let token = '';
  do {
    const query = new URLSearchParams({ pageSize: '10', ...(token ? { pageToken: token } : {}) });
    const answer = await product.rest('GET', `/api/v1/tree/media/pages:list?${query}`);
    const page = (await answer.json()) as { nodes: Node[]; nextPageToken?: string };
    assert.ok(page.nodes.length <= 10);
    seen.push(...page.nodes.map(({ name }) => name));
    token = page.nextPageToken ?? '';
  } while (token);
  assert.deepEqual(
    seen,
    Array.from({ length: 25 }, (_, at) => String(at).padStart(2, '0')),
  );
});

test('watching tells what changes, as server-sent events', async () => {
  const ending = new AbortController();
  const answer = await product.rest('GET', '/api/v1/tree/media:watch', {
    headers: { accept: 'text/event-stream' },
    signal: AbortSignal.any([ending.signal, AbortSignal.timeout(30_000)]),
  });
  assert.equal(answer.status, 200);
  assert.match(answer.headers.get('content-type') ?? '', /text\/event-stream/);
  const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
  assert.ok(reader);
  // What was changed before the watch began may be missing, so change until it is told.
  let text = '';
  const reading = (async () => {
    while (!text.includes('watched-')) {
      const { value, done } = await reader.read();
      if (done) return;
      text += value;
    }
  })();
  let isTold = false;
  reading.then(() => {
    isTold = true;
  });
  for (let at = 0; !isTold && at < 200; at++) {
    await product.rest('PUT', `/api/v1/content/media/watched-${at}`, { body: String(at) });
    await Promise.race([reading, new Promise((done) => setTimeout(done, 100))]);
  }
  await reading;
  ending.abort();
  assert.match(text, /data: .*watched-\d+/);
});

test('the interface describes itself', async () => {
  const answer = await product.rest('GET', '/api/openapi.json', { token: null });
  assert.equal(answer.status, 200);
  const document = (await answer.json()) as { openapi: string; paths: Record<string, unknown> };
  assert.match(document.openapi, /^3\.1/);
  assert.ok(Object.keys(document.paths).some((path) => path.startsWith('/api/v1/tree')));
});

test('health and metrics', async () => {
  assert.equal((await fetch(`${product.url}/health/live`)).status, 200);
  assert.equal((await fetch(`${product.url}/health/ready`)).status, 200);
  const metrics = await product.rest('GET', '/metrics');
  assert.equal(metrics.status, 200);
  assert.match(await metrics.text(), /^# TYPE /m);
});

function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
