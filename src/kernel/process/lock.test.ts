import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, stat, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { isHomeLocked, lockHome, readServerInfo } from './lock.ts';
import { homePaths, socketFolder, socketPath } from './paths.ts';

test('one holder at a time; what it publishes is seen; nothing stays behind', async () => {
  const home = await mkdtemp(join(tmpdir(), 'cellar-lock-'));
  assert.equal(isHomeLocked(home), false);
  const lock = await lockHome(home);
  assert.equal(isHomeLocked(home), true);
  assert.equal(await readServerInfo(home), undefined);
  const info = { pid: process.pid, startTimeMs: 1, url: 'http://x', isReady: true, version: '1', notReady: [] };
  await lock.publish(info);
  assert.deepEqual(await readServerInfo(home), info);
  await assert.rejects(lockHome(home), /already running .* as process \d+ at http:\/\/x/);
  await lock.release();
  assert.equal(isHomeLocked(home), false);
  await (await lockHome(home)).release();
  assert.equal((await stat(homePaths(home).run)).mode & 0o777, 0o700);
  await rm(home, { recursive: true });
});

test('a link at the place of the sockets below the shared temporary folder is refused', async (t) => {
  const parent = await mkdtemp(join(tmpdir(), 'cellar-lock-'));
  const home = join(parent, 'x'.repeat(100));
  await mkdir(join(parent, 'private'), { mode: 0o700 });
  await symlink(join(parent, 'private'), socketFolder(home));
  t.after(async () => {
    await rm(socketFolder(home));
    await rm(parent, { recursive: true });
  });
  await assert.rejects(lockHome(home), /is open to others/);
});

test('a holder that is killed leaves no lock, and its last words are not believed', async () => {
  const home = await mkdtemp(join(tmpdir(), 'cellar-lock-'));
  const script = `
    const { lockHome } = await import(${JSON.stringify(join(import.meta.dirname, 'lock.ts'))});
    const lock = await lockHome(${JSON.stringify(home)});
    await lock.publish({ pid: process.pid, startTimeMs: 1, url: '', isReady: true, version: '1', notReady: [] });
    console.log('held');
    setInterval(() => undefined, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  assert.equal(isHomeLocked(home), true);
  child.kill('SIGKILL');
  await once(child, 'exit');
  assert.equal(isHomeLocked(home), false);
  assert.equal(await readServerInfo(home), undefined);
  await (await lockHome(home)).release();
  await rm(home, { recursive: true });
});

test('sockets of deep homes lie elsewhere, and their paths always fit', () => {
  for (const home of ['/h', `/${'x'.repeat(60)}`, `/${'x'.repeat(200)}`]) {
    const paths = ['main', `cellar.grpc.data.index.${'d'.repeat(63)}`, `cellar.grpc.data.sync.${'d'.repeat(63)}`].flatMap(
      (name) => [socketPath(home, name), socketPath(home, name, 'http')],
    );
    assert.equal(new Set(paths).size, paths.length);
    for (const path of paths) assert.ok(Buffer.byteLength(path) <= 107, path);
  }
  assert.ok(socketFolder('/h').startsWith('/h/'));
});
