import assert from 'node:assert/strict';
import { readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type MountedVolume, mountVolume, type VolumeKind, volumesMissing } from '#data/testing/mount-volume.ts';
import { type Product, startProduct, waitUntil } from './harness.ts';
import { inIndex } from './kill-load.ts';
import { signedFetch } from './signed-fetch.ts';

/*
 * The product over volumes that take several names for one, refuse some, list others than were asked for, or make up inodes: what S3
 * acknowledged is listed and read exactly, other programs are followed, and nothing goes back and forth between two names.
 */
const patienceMs = 30_000;
const kinds: readonly VolumeKind[] = ['exfat', 'nfd-made-up'];

/** Many of these are one name, or none, on one volume or another. */
const keys = [
  ...['A.txt', 'a.txt', 'Dir/x', 'dir/y', 'dir/X', 'folder/', 'Folder/', 'Folder/inside'],
  ...['\u00e9', 'e\u0301', 'deep/\u00e9/z', 'deep/e\u0301/z', 'ß', 'ss', 'K', '\u212a', '😀'],
  ...['con', 'a:b', 'a*b/c', 'dots...', 'space ', 'x'.repeat(250), 'y'.repeat(300), '.CELLAR/tmp/x'],
];
const contentOf = (key: string): string => (key.endsWith('/') ? '' : `content of ${key}`);

interface Case {
  readonly kind: VolumeKind;
  readonly volume: MountedVolume;
  readonly product: Product;
  readonly s3: ReturnType<typeof signedFetch>;
}

const encoded = (key: string): string =>
  key
    .split('/')
    .map((name) => encodeURIComponent(name).replaceAll('*', '%2A'))
    .join('/');

async function ask({ s3 }: Pick<Case, 's3'>, method: string, key: string, body = ''): Promise<string> {
  const answer = await s3(method, `/usb/${encoded(key)}`, body);
  const text = await answer.text();
  return answer.ok ? text : `${answer.status}`;
}

/** Every key is listed as it was written, no other is, and each has its own bytes. */
async function assertExact(the: Case, wanted: readonly string[]): Promise<void> {
  const listing = await (await the.s3('GET', '/usb?list-type=2&encoding-type=url')).text();
  const listed = [...listing.matchAll(/<Key>(.*?)<\/Key>/g)].map(([, key = '']) => decodeURIComponent(key.replaceAll('+', ' ')));
  assert.deepEqual(listed.toSorted(), wanted.toSorted());
  for (const key of wanted) assert.equal(await ask(the, 'GET', key), contentOf(key), key);
}

const passOver = async ({ product }: Case): Promise<string> => {
  const { stderr, exitCode } = await product.cli('datasource', 'resync', 'usb');
  assert.equal(exitCode, 0, stderr);
  return stderr;
};

/** Files as folders list them. */
function onVolume(folder: string, below = ''): string[] {
  return readdirSync(join(folder, below), { withFileTypes: true })
    .filter(({ name }) => below !== '' || name !== '.cellar')
    .flatMap((entry) => {
      const path = `${below}${entry.name}`;
      return entry.isDirectory() ? [`usb/${path} -`, ...onVolume(folder, `${path}/`)] : [`usb/${path} ${sizeOf(folder, path)}`];
    })
    .toSorted();
}

const sizeOf = (folder: string, path: string): number => readFileSync(join(folder, path)).length;

async function followed({ kind, product, volume }: Case): Promise<void> {
  let index: string[] = [];
  let disk: string[] = [];
  const isSame = async (): Promise<boolean> => {
    [index, disk] = [await inIndex(product, 'usb').catch(() => []), onVolume(volume.path)];
    // The index has them composed.
    if (kind.startsWith('nfd')) disk = disk.map((line) => line.normalize('NFC')).toSorted();
    return index.join('\n') === disk.join('\n');
  };
  await waitUntil(isSame, patienceMs, () => {
    const [more, less] = [index.filter((line) => !disk.includes(line)), disk.filter((line) => !index.includes(line))];
    return `the index does not follow the volume: it has ${JSON.stringify(more)} and lacks ${JSON.stringify(less)}`;
  });
}

const skip = volumesMissing();
for (const kind of kinds)
  test(`a datasource on a volume of kind ${kind}`, { skip, timeout: 180_000 }, async (t) => {
    await using volume = await mountVolume(kind);
    await using product = await startProduct({ datasources: ['usb'], folders: { usb: volume.path }, isOneProcess: true });
    const s3 = signedFetch(product.url, await product.json('key', 'create', 'volumes'));
    const the: Case = { kind, volume, product, s3 };

    await t.test('keys that the volume takes for one are kept apart', async () => {
      for (const key of keys) assert.equal(await ask(the, 'PUT', key, contentOf(key)), '', key);
      await assertExact(the, keys);
      await followed(the);
    });
    await t.test('what was never written is not there, and deleting it deletes nothing else', async () => {
      for (const key of ['A.TXT', 'DIR/x', 'Con', 'Ss', 'E\u0301', '.Cellar/tmp/x']) {
        assert.equal(await ask(the, 'GET', key), '404', key);
        assert.equal(await ask(the, 'DELETE', key), '', key);
      }
      await assertExact(the, keys);
    });
    await t.test('a pass finds nothing to do, also after the disk was taken out and put in again', async () => {
      assert.match(await passOver(the), / 0 created, 0 updated, 0 deleted/);
      await product.stop();
      await volume.remount();
      await product.start();
      await followed(the);
      await passOver(the);
      assert.match(await passOver(the), / 0 created, 0 updated, 0 deleted/);
      await assertExact(the, keys);
    });
    await t.test('keys written at the same time do not take each other’s place', async () => {
      const alike = Array.from({ length: 16 }, (_, at) =>
        [...'abcd'].map((letter, bit) => (at & (1 << bit) ? letter.toUpperCase() : letter)).join(''),
      );
      for (let round = 0; round < 2; round++) {
        await Promise.all(alike.map(async (key) => assert.equal(await ask(the, 'PUT', key, contentOf(key)), '')));
        await assertExact(the, [...keys, ...alike]);
      }
      await Promise.all(alike.map((key) => ask(the, 'DELETE', key)));
      await assertExact(the, keys);
    });
    await t.test('one of two that are alike is deleted, copied and written again by itself', async () => {
      for (const key of ['a.txt', 'Dir/x']) assert.equal(await ask(the, 'DELETE', key), '');
      const rest = keys.filter((key) => key !== 'a.txt' && key !== 'Dir/x');
      await assertExact(the, rest);
      const copy = await s3('PUT', '/usb/a.TXT', '', new Date(), { 'x-amz-copy-source': '/usb/A.txt' });
      assert.equal(copy.status, 200, await copy.text());
      assert.equal(await ask(the, 'GET', 'a.TXT'), contentOf('A.txt'));
      assert.equal(await ask(the, 'DELETE', 'a.TXT'), '');
      for (const key of ['a.txt', 'Dir/x']) assert.equal(await ask(the, 'PUT', key, contentOf(key)), '');
      await assertExact(the, keys);
      await followed(the);
    });
    await t.test('other programs make and rename files, and each has one name', async () => {
      writeFileSync(join(volume.path, 'other.TXT'), 'other');
      await followed(the);
      renameSync(join(volume.path, 'other.TXT'), join(volume.path, 'OTHER.txt'));
      await followed(the);
      writeFileSync(join(volume.path, 'caf\u00e9'), '1');
      renameSync(join(volume.path, 'caf\u00e9'), join(volume.path, 'CAF\u00c9 noir'));
      await followed(the);
      assert.match(await passOver(the), / 0 created, 0 updated, 0 deleted/);
      for (const name of readdirSync(volume.path).filter((one) => /other|noir/i.test(one)))
        assert.notEqual(await ask(the, 'GET', name.normalize('NFC')), '404', name);
    });
    await t.test('the tree renames a file to itself in other case', async () => {
      assert.equal(await ask(the, 'PUT', 'tree.txt', 'tree'), '');
      await followed(the);
      const moved = await product.rest('POST', '/api/v1/tree/usb/tree.txt:move', { json: { target: 'usb/Tree.txt' } });
      assert.equal(moved.status, 200, await moved.text());
      await followed(the);
      assert.ok(readdirSync(volume.path).includes('Tree.txt'));
      assert.deepEqual([await ask(the, 'GET', 'Tree.txt'), await ask(the, 'GET', 'tree.txt')], ['tree', '404']);
    });
    await t.test('a file that another program writes right after S3 is told apart, also with the same size', async () => {
      assert.equal(await ask(the, 'PUT', 'edited', 'before'), '');
      const before = await s3('HEAD', '/usb/edited');
      writeFileSync(join(volume.path, 'edited'), 'after!');
      const after = await s3('HEAD', '/usb/edited');
      assert.notEqual(after.headers.get('etag'), before.headers.get('etag'));
      assert.equal(await ask(the, 'GET', 'edited'), 'after!');
    });
    await t.test('what was acknowledged outlives kill -9', async () => {
      const writing = Array.from({ length: 40 }, (_, at) => `${at % 2 ? 'KILL' : 'kill'}/${at >> 1}`);
      const acknowledged: string[] = [];
      const puts = writing.map(async (key) => {
        if ((await ask(the, 'PUT', key, contentOf(key)).catch(() => 'cut off')) === '') acknowledged.push(key);
      });
      await waitUntil(
        () => Promise.resolve(acknowledged.length >= 5),
        patienceMs,
        () => product.logs(),
      );
      process.kill(product.pid(), 'SIGKILL');
      await Promise.all(puts);
      await product.stop();
      await product.start();
      for (const key of acknowledged) assert.equal(await ask(the, 'GET', key), contentOf(key), key);
      await followed(the);
      const { stdout, exitCode } = await product.cli('datasource', 'check', 'usb');
      assert.equal(exitCode, 0, stdout);
    });
  });
