import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { describe, type TestContext, test } from 'node:test';
import { framed } from './framed.ts';
import { helperCodes, loadScript, saveScript, waitScript } from './volume-scripts.ts';

const busybox = '/bin/busybox';

/** The commands of BusyBox, and no others. */
function appletsOf(t: TestContext): string {
  const folder = folderOf(t);
  for (const applet of spawnSync(busybox, ['--list'], { encoding: 'utf8' }).stdout.split('\n').filter(Boolean))
    symlinkSync(busybox, join(folder, applet));
  return folder;
}

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'cellar-scripts-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

interface Ran {
  readonly code: number | null;
  readonly output: Buffer;
  readonly errors: string;
}

async function run(path: string, script: string, folder: string, input: AsyncIterable<Uint8Array>): Promise<Ran> {
  const child = spawn('sh', ['-c', script, 'sh', folder, mark], { env: { PATH: path } });
  const [output, errors] = [buffer(child.stdout), buffer(child.stderr)];
  const fed = pipeline(input, child.stdin).catch((error: NodeJS.ErrnoException) => {
    if (!['EPIPE', 'ECONNRESET'].includes(error.code ?? '')) throw error; // It did not want all of it.
  });
  const [code] = (await once(child, 'close')) as [number | null];
  await fed;
  return { code, output: await output, errors: (await errors).toString() };
}

const mark = 'that is all';

/** It ends when it is told that all has come. */
async function save(path: string, folder: string): Promise<Buffer> {
  const { code, output, errors } = await run(path, saveScript, folder, Readable.from(['\n']));
  assert.equal(code, 0, errors);
  assert.equal(output.subarray(-mark.length).toString(), mark);
  return output.subarray(0, -mark.length);
}

const nothing = (): AsyncIterable<Uint8Array> => Readable.from([]);
async function* whole(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += 100_000) yield bytes.subarray(at, at + 100_000);
}
async function* brokenOff(source: AsyncIterable<Uint8Array>, pieces: number): AsyncGenerator<Uint8Array> {
  for await (const piece of source) {
    if (pieces-- === 0) return;
    yield piece;
  }
}

function listOf(folder: string): string {
  const script =
    'find . | sort; find . -type f | sort | xargs -r cksum; find . -type l -exec readlink {} +; stat -c "%a %n" $(ls -A)';
  return spawnSync('sh', ['-c', script], { cwd: folder, encoding: 'utf8' }).stdout;
}

for (const [name, skip] of [
  ['the commands of this machine', false],
  ['BusyBox', existsSync(busybox) ? false : 'no BusyBox; enable with: apt-get install busybox-static'],
] as const) {
  describe(`volumes by ${name}`, { skip }, () => {
    const pathOf = (t: TestContext): string => (name === 'BusyBox' ? appletsOf(t) : (process.env['PATH'] ?? ''));

    function volume(t: TestContext): string {
      const folder = folderOf(t);
      mkdirSync(join(folder, 'deep', 'er'), { recursive: true });
      mkdirSync(join(folder, 'lost+found'));
      writeFileSync(join(folder, 'deep', 'er', 'a name\nof two lines'), 'grüße');
      writeFileSync(join(folder, '.hidden'), '');
      writeFileSync(join(folder, '..odd'), 'odd');
      writeFileSync(join(folder, 'run'), 'x', { mode: 0o750 });
      writeFileSync(join(folder, 'large'), Buffer.alloc(3_000_000, 'content of it'));
      symlinkSync('/etc/passwd', join(folder, 'away'));
      symlinkSync('nowhere', join(folder, '.dangling'));
      return folder;
    }

    test('what is saved is loaded again, whatever was there', async (t) => {
      const [path, from, to] = [pathOf(t), volume(t), folderOf(t)];
      const output = await save(path, from);
      writeFileSync(join(to, 'old'), 'goes');
      mkdirSync(join(to, 'lost+found'));
      mkdirSync(join(to, '.cellar-new', 'left'), { recursive: true });
      for (const _ of [1, 2]) {
        const loaded = await run(path, loadScript, to, framed(whole(output)));
        assert.equal(loaded.code, 0, loaded.errors);
        assert.equal(listOf(to), listOf(from));
      }
    });

    test('an empty volume too', async (t) => {
      const [path, from, to] = [pathOf(t), folderOf(t), folderOf(t)];
      writeFileSync(join(to, 'old'), 'goes');
      const output = await save(path, from);
      assert.equal((await run(path, loadScript, to, framed(whole(output)))).code, 0);
      assert.deepEqual(readdirSync(to), []);
    });

    test('what breaks off, or is no archive, changes nothing', async (t) => {
      const [path, from, to] = [pathOf(t), volume(t), folderOf(t)];
      const output = await save(path, from);
      writeFileSync(join(to, 'old'), 'stays');
      for (const input of [
        brokenOff(framed(whole(output)), 0),
        brokenOff(framed(whole(output)), 1),
        brokenOff(framed(whole(output)), 3),
      ]) {
        const { code } = await run(path, loadScript, to, input);
        assert.ok(code === helperCodes.cutOff || code === helperCodes.unreadable, String(code));
        assert.deepEqual(readdirSync(to), ['old']);
      }
      for (const wrong of [output.subarray(0, 1_000_000), Buffer.alloc(2_000_000, 'no archive')]) {
        const { code, errors } = await run(path, loadScript, to, framed(whole(wrong)));
        assert.equal(code, helperCodes.unreadable);
        assert.notEqual(errors, '');
        assert.equal(readFileSync(join(to, 'old'), 'utf8'), 'stays');
      }
    });

    test('a helper that is told to end takes along what it has begun', async (t) => {
      const [path, folder] = [pathOf(t), folderOf(t)];
      mkdirSync(join(folder, '.cellar-new', 'half'), { recursive: true });
      writeFileSync(join(folder, 'old'), 'stays');
      // Its trap is set before it says so.
      const child = spawn('sh', ['-c', waitScript(60).replace(' & wait', ' & echo ready; wait'), 'sh', folder], {
        env: { PATH: path },
      });
      await once(child.stdout, 'data');
      child.kill('SIGTERM');
      await once(child, 'exit');
      assert.deepEqual(readdirSync(folder), ['old']);
    });
  });
}

test('a missing command is named', async (t) => {
  const path = folderOf(t);
  for (const tool of ['sh', 'dd', 'rm'])
    symlinkSync(spawnSync('which', [tool], { encoding: 'utf8' }).stdout.trim(), join(path, tool));
  for (const script of [saveScript, loadScript]) {
    const { code, errors } = await run(path, script, folderOf(t), nothing());
    assert.deepEqual([code, errors.trim()], [helperCodes.toolMissing, 'tar']);
  }
});
