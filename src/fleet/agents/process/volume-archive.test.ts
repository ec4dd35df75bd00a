import assert from 'node:assert/strict';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { type Header, pack } from 'tar-stream';
import { Fault } from '#kernel/fault.ts';
import { packFolder, unpackFolder } from './volume-archive.ts';

const never = new AbortController().signal;

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'cellar-archive-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

interface Entry extends Partial<Omit<Header, 'name'>> {
  readonly name: string;
  readonly text?: string;
}

/** Entries as they come, whatever they say. */
async function archiveOf(...entries: readonly Entry[]): Promise<Buffer> {
  const archive = pack();
  for (const { text = '', ...header } of entries) archive.entry(header, text);
  archive.finalize();
  return await buffer(Readable.from(archive));
}

test('what would lead outside is refused, and nothing is written there', async (t) => {
  const cases: Readonly<Record<string, readonly Entry[]>> = {
    'a way up': [{ name: '../out', text: 'x' }],
    'a way up in the middle': [
      { name: 'a', type: 'directory' },
      { name: 'a/../../out', text: 'x' },
    ],
    'an absolute name': [{ name: '/out', text: 'x' }],
    'through a link': [
      { name: 'way', type: 'symlink', linkname: '..' },
      { name: 'way/out', text: 'x' },
    ],
    'a link in place of a folder': [
      { name: 'way', type: 'directory' },
      { name: 'way', type: 'symlink', linkname: '..' },
    ],
    'a hard link': [{ name: 'hard', type: 'link', linkname: '../out' }],
    'a device': [{ name: 'device', type: 'character-device' }],
    'a file twice': [
      { name: 'one', text: 'x' },
      { name: 'one', text: 'y' },
    ],
  };
  for (const [what, entries] of Object.entries(cases)) {
    const outer = folder(t);
    const inner = join(outer, 'inner');
    mkdirSync(inner);
    await assert.rejects(
      unpackFolder(Readable.from([await archiveOf(...entries)]), inner, never),
      (error) => Fault.from(error).reason === 'archive_invalid',
      what,
    );
    assert.ok(!existsSync(join(outer, 'out')), what);
  }
});

test('links are kept and not followed, what is neither file nor folder is left out', async (t) => {
  const [from, to, outside] = [folder(t), folder(t), folder(t)];
  writeFileSync(join(outside, 'secret'), 'not ours');
  symlinkSync(outside, join(from, 'away'));
  symlinkSync('nowhere', join(from, 'dangling'));
  writeFileSync(join(from, `${'long'.repeat(50)}.txt`), 'kept');
  const archive = await Array.fromAsync(packFolder(from, never));
  assert.ok(!Buffer.concat(archive).includes('not ours'));
  await unpackFolder(Readable.from(archive), to, never);
  assert.equal(readlinkSync(join(to, 'away')), outside);
  assert.ok(lstatSync(join(to, 'dangling')).isSymbolicLink());
  assert.equal(readFileSync(join(to, `${'long'.repeat(50)}.txt`), 'utf8'), 'kept');
});

test('an archive that ends too early is refused, wherever it is cut', async (t) => {
  const whole = await archiveOf({ name: 'a', text: 'one' }, { name: 'b', text: 'two' });
  for (const sizeBytes of [0, 512, 700, 1024, 1600, 2048, whole.length - 512]) {
    const to = folder(t);
    await assert.rejects(
      unpackFolder(Readable.from([whole.subarray(0, sizeBytes)]), to, never),
      (error) => Fault.from(error).reason === 'archive_invalid',
      `cut at ${sizeBytes}`,
    );
  }
});

test('reading stops when nobody reads on', async (t) => {
  const from = folder(t);
  for (const name of ['a', 'b', 'c']) writeFileSync(join(from, name), Buffer.alloc(4 * 1024 * 1024, 1));
  for await (const piece of packFolder(from, never)) {
    assert.ok(piece.length > 0);
    break;
  }
});
