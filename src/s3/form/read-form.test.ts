import assert from 'node:assert/strict';
import { test } from 'node:test';
import { S3Error } from '../errors.ts';
import { readForm } from './read-form.ts';

const type = 'multipart/form-data; boundary=xx';
const part = (name: string, value: string, more = ''): string =>
  `--xx\r\nContent-Disposition: form-data; name="${name}"${more}\r\n\r\n${value}\r\n`;
const end = '--xx--\r\n';

/** The text in pieces of `size`. */
async function* pieces(text: string, size: number): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}
const read = async (text: string, size = 7, contentType = type) => {
  using form = await readForm(contentType, pieces(text, size));
  const bytes = Buffer.concat(await Array.fromAsync(form.bytes));
  return { fields: Object.fromEntries(form.fields), fileName: form.fileName, bytes };
};

test('fields up to the file, and the file', async () => {
  const text = part('Key', 'a b') + part('x', 'é', '; filename="x"') + part('file', 'hello', '; filename="C:\\dir\\n.txt"') + end;
  for (const size of [1, 7, 4096]) {
    const { fields, fileName, bytes } = await read(text + part('after', 'no'), size);
    assert.deepEqual([fields, fileName, bytes.toString()], [{ key: 'a b', x: 'é' }, 'n.txt', 'hello']);
  }
});

test('a large file is not held', async () => {
  const file = Buffer.alloc(3_000_000, 'ab').toString();
  const { bytes } = await read(part('key', 'k') + part('file', file, '; filename="f"') + end, 65_536);
  assert.equal(bytes.length, 3_000_000);
});

const refused: readonly (readonly [text: string, code: string, contentType?: string])[] = [
  [part('key', 'k') + end, 'InvalidArgument'],
  [part('key', 'k') + part('key', 'l') + part('file', 'x') + end, 'InvalidArgument'],
  [part('key', 'k') + part('file', 'x') + part('file', 'y') + end, 'InvalidArgument'],
  [part('key', 'k') + part('file', 'not whole'), 'MalformedPOSTRequest'],
  [part('key', 'k') + part('file', 'not whole').slice(0, -4), 'MalformedPOSTRequest'],
  [part('key', 'k'.repeat(30_000)) + part('file', 'x') + end, 'MalformedPOSTRequest'],
  [Array.from({ length: 120 }, (_, index) => part(`f${index}`, 'v')).join('') + part('file', 'x') + end, 'MalformedPOSTRequest'],
  ['nonsense', 'MalformedPOSTRequest'],
  ['', 'MalformedPOSTRequest'],
  [part('file', 'x') + end, 'PreconditionFailed', 'application/x-www-form-urlencoded'],
  [part('file', 'x') + end, 'PreconditionFailed', 'multipart/form-data'],
];
for (const [index, [text, code, contentType]] of refused.entries())
  test(`refused ${index + 1}: ${code}`, () =>
    assert.rejects(read(text, 100, contentType), (error) => error instanceof S3Error && error.code === code));

test('a request that breaks is refused, and one that is not wanted is let go', async () => {
  const isLetGo = Promise.withResolvers<void>();
  async function* source(): AsyncGenerator<Uint8Array> {
    try {
      yield Buffer.from(part('key', 'k') + part('file', 'x'.repeat(300_000), '; filename="f"').slice(0, -2));
      for (;;) yield Buffer.alloc(100_000);
    } finally {
      isLetGo.resolve();
    }
  }
  {
    using form = await readForm(type, source());
    assert.equal(form.fields.get('key'), 'k');
  }
  await isLetGo.promise;
  const broken = async function* (): AsyncGenerator<Uint8Array> {
    yield Buffer.from(part('key', 'k') + part('file', 'x'));
    throw new Error('gone');
  };
  using form = await readForm(type, broken());
  await assert.rejects(Array.fromAsync(form.bytes), (error) => error instanceof S3Error && error.code === 'IncompleteBody');
});
