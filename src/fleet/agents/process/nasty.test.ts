import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, type TestContext, test } from 'node:test';
import { silentLog } from '#kernel/log.ts';
import { until } from '#kernel/testing/engines.ts';
import type { PlannedMember } from '../../blueprints/logic/plan-members.ts';
import type { Driver, SeenMember } from '../../driver/driver.ts';
import { shellMember } from '../testing/shell-member.ts';
import { openCgroups } from './cgroups.ts';
import { createProcessDriver } from './driver.ts';
import { findProcess } from './processes.ts';

const cgroups = await openCgroups();
const noCgroups = await openCgroups({ controllers: {} });
const isGrouped = (await cgroups.make('probe', { memoryBytesMax: 0, cpuMillisMax: 0, processesMax: 0 })).length > 0;
await cgroups.remove('probe');
const ungrouped = isGrouped ? false : needs('control groups cannot be written here; enable by running as root');
const unlimited = cgroups.hasLimits ? false : needs('memory and processes cannot be limited here; enable by running as root');
const mebibyte = 1024 * 1024;
const root = mkdtempSync(join(tmpdir(), 'cellar-nasty-'));
after(() => rmSync(root, { recursive: true, force: true }));

function needs(reason: string): string {
  if (process.env['CI']) throw new Error(reason);
  return reason;
}

let count = 0;

/** A cluster of one member that runs a script; all of it is gone after the test. */
async function start(t: TestContext, script: string, more: Partial<PlannedMember> = {}, groups = cgroups) {
  const folder = join(root, String(++count));
  const open = (): Driver =>
    createProcessDriver({ folder, host: 'h', fleet: `nasty-${process.pid}`, cgroups: groups, log: silentLog, now: Date.now });
  const driver = open();
  const ref = { cluster: `n${count}`, incarnation: 1 };
  const signal = AbortSignal.timeout(30_000);
  t.after(() => driver.remove(ref, AbortSignal.timeout(30_000)));
  const path = (name: string): string => join(folder, `${ref.cluster}.1`, 'one', name);
  await driver.create(ref, [shellMember('one', '', script, more)], {}, signal);
  return {
    ...{ driver, ref, signal, path, open, folder },
    look: async (): Promise<SeenMember | undefined> => (await driver.observe(ref.cluster, signal)).members[0],
    /** A number that the script writes into a file of its folder. */
    async number(file: string): Promise<number> {
      const read = () => readFile(path(`root/${file}`), 'utf8').catch(() => '');
      await until(async () => (await read()).endsWith('\n'));
      return Number(await read());
    },
    isGone: async (pid: number) => (await findProcess(pid)) === undefined,
  };
}

describe('local members that do not behave', { skip: process.platform !== 'linux' && 'Linux only', concurrency: 4 }, () => {
  test('one that ignores to be asked is ended by force', async (t) => {
    const { driver, ref, signal, number, isGone } = await start(
      t,
      `trap '' TERM INT HUP; echo $$ > pid; while :; do sleep 0.1; done`,
      { stopTimeoutMs: 300 },
    );
    const pid = await number('pid');
    await driver.stop(ref, ['one'], signal);
    assert.ok(await isGone(pid));
  });

  test('one that holds its lock while it stops is waited for before it starts again', async (t) => {
    const script = `
      if ! mkdir lock; then echo taken > clash; exit 1; fi
      trap 'sleep 1; rmdir lock; exit 0' TERM
      echo $$ > pid; while :; do sleep 0.05; done`;
    const { driver, ref, signal, number, path, look, isGone, open } = await start(t, script, { stopTimeoutMs: 20_000 });
    const pid = await number('pid');
    const stopping = driver.stop(ref, ['one'], signal);
    // Another start comes at once, also from somebody who knows nothing of the stop.
    await Promise.all([stopping, driver.start(ref, ['one'], signal)]);
    assert.ok(await isGone(pid));
    await until(async () => (await look())?.state === 'running');
    assert.throws(() => statSync(path('root/clash')), 'the lock was never taken twice');
    await open().stop(ref, ['one'], signal);
    assert.throws(() => statSync(path('root/lock')), 'it had the time to give it back');
  });

  test('zombies count as gone', async (t) => {
    // The parent never asks for its child: it is a sleep that took the shell's place.
    const { driver, ref, signal, number, isGone, look } = await start(t, `sh -c 'echo $$ > pid' & exec sleep 60`);
    const pid = await number('pid');
    await until(() => isGone(pid));
    assert.match(await readFile(`/proc/${pid}/stat`, 'utf8'), /\) Z /);
    assert.equal((await look())?.state, 'running');
    await driver.stop(ref, ['one'], signal);
    assert.equal((await look())?.state, 'exited');
  });

  test('one that leaves its process group is found by its mark', async (t) => {
    const script = `setsid sh -c 'echo $$ > pid; exec sleep 60' & while :; do sleep 0.1; done`;
    const { driver, ref, signal, number, isGone } = await start(t, script, {}, noCgroups);
    const pid = await number('pid');
    await driver.stop(ref, ['one'], signal);
    assert.ok(await isGone(pid));
  });

  test('one that leaves its group and takes off its mark is found by its control group', { skip: ungrouped }, async (t) => {
    const script = `setsid env -i sh -c 'echo $$ > pid; exec sleep 60' & while :; do sleep 0.1; done`;
    const { driver, ref, signal, number, isGone, open, folder } = await start(t, script);
    const pid = await number('pid');
    assert.doesNotMatch(await readFile(`/proc/${pid}/environ`, 'latin1'), /CELLAR/);
    await driver.stop(ref, ['one'], signal);
    assert.ok(await isGone(pid));
    await driver.start(ref, ['one'], signal);
    await until(async () => (await number('pid')) !== pid);
    const second = await number('pid');
    // Also when nobody knows of its folder any more.
    const elsewhere = open();
    rmSync(folder, { recursive: true });
    assert.equal((await elsewhere.observe(ref.cluster, signal)).members[0]?.message, 'its folder is gone');
    await elsewhere.remove(ref, signal);
    assert.ok(await isGone(second));
  });

  test('one that forks without end stays below its number, and is ended whole', { skip: unlimited }, async (t) => {
    // A shell that cannot fork ends, so that the first one does not.
    const script = `echo $$ > pid; (while :; do sleep 60 & done) & exec sleep 60`;
    const { driver, ref, signal, number, isGone } = await start(t, script, { processesMax: 40, stopTimeoutMs: 200 });
    const pid = await number('pid');
    const used = async (): Promise<number> => {
      for await (const [one] of driver.use(ref, false, signal)) return one?.processes ?? 0;
      return 0;
    };
    await until(async () => (await used()) >= 30, 20_000);
    assert.ok((await used()) <= 40);
    await driver.stop(ref, ['one'], signal);
    assert.ok(await isGone(pid));
    assert.deepEqual(
      (await driver.observe(ref.cluster, signal)).members.filter(({ state }) => state === 'running'),
      [],
    );
  });

  test('one that fills its memory is ended, and it is told why', { skip: unlimited }, async (t) => {
    const script = 'x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done';
    const { look } = await start(t, script, { memoryBytesMax: 32 * mebibyte });
    await until(async () => (await look())?.state === 'exited', 20_000);
    assert.match((await look())?.message ?? '', /^was ended for using more than its 32 MiB of memory/);
  });

  test('without control groups each of its processes is held to twice its memory', async (t) => {
    const script = 'x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done';
    const { look, driver, signal } = await start(t, script, { memoryBytesMax: 32 * mebibyte }, noCgroups);
    assert.ok(!(await driver.probe(signal)).abilities.includes('limits'));
    await until(async () => (await look())?.state === 'exited', 20_000);
  });

  test('one that uses all processors gets what it may', { skip: unlimited }, async (t) => {
    const { driver, ref, signal } = await start(t, 'while :; do :; done', { cpuMillisMax: 100 });
    const used: number[] = [];
    for await (const [one] of driver.use(ref, true, signal)) if (used.push(one?.cpuPercent ?? 0) === 2) break;
    // A tenth of a core was given; the clock of the kernel counts in ticks.
    assert.ok(Math.max(...used) < 40, used.join());
  });

  test('one that writes without end does not fill the disk, and its last words are kept', async (t) => {
    const script = `head -c 40000000 /dev/zero | tr '\\0' x | fold -w 1000; echo; echo the end; while :; do sleep 0.1; done`;
    const { driver, ref, signal, path, look } = await start(t, script);
    await until(async () => {
      await look();
      const lines = await Array.fromAsync(driver.logs({ ...ref, member: '', isFollowing: false, tail: 3 }, signal));
      return lines.at(-1)?.text === 'the end';
    }, 20_000);
    await look();
    assert.ok(statSync(path('log')).size <= 16 * mebibyte);
    // What is kept, and what was written while it was moved.
    assert.ok(statSync(path('log.1')).size <= 8 * mebibyte);
  });

  test('after a kill of its agent it goes on, and is taken over by number and start time', async (t) => {
    const { signal, path, isGone } = await start(t, 'true');
    // An agent of its own, which is killed in the middle of its work.
    const folder = join(path('root'), 'agent');
    const script = `
      import { createProcessDriver } from ${JSON.stringify(new URL('./driver.ts', import.meta.url).href)};
      import { openCgroups } from ${JSON.stringify(new URL('./cgroups.ts', import.meta.url).href)};
      import { shellMember } from ${JSON.stringify(new URL('../testing/shell-member.ts', import.meta.url).href)};
      const driver = createProcessDriver({ folder: ${JSON.stringify(folder)}, host: 'k', fleet: 'nasty-${process.pid}',
        cgroups: await openCgroups(), log: { debug() {} }, now: Date.now });
      await driver.create({ cluster: 'adopted', incarnation: 1 }, [shellMember('one', '', 'echo $$ > pid; exec sleep 60')], {},
        AbortSignal.timeout(30000));
      process.kill(process.pid, 'SIGKILL');`;
    const agent = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'inherit' });
    const [, ended] = await new Promise<[number | null, string | null]>((resolve) =>
      agent.once('exit', (...how) => resolve(how)),
    );
    assert.equal(ended, 'SIGKILL');
    const next = createProcessDriver({
      ...{ folder, host: 'k', fleet: `nasty-${process.pid}`, cgroups, log: silentLog, now: Date.now },
    });
    const adopted = { cluster: 'adopted', incarnation: 1 };
    t.after(() => next.remove(adopted, AbortSignal.timeout(30_000)));
    const pidFile = join(folder, 'adopted.1', 'one', 'root', 'pid');
    await until(async () => (await readFile(pidFile, 'utf8').catch(() => '')).endsWith('\n'));
    const pid = Number(await readFile(pidFile, 'utf8'));
    assert.deepEqual(
      (await next.observe('adopted', signal)).members.map(({ state }) => state),
      ['running'],
    );
    await next.start(adopted, ['one'], signal);
    assert.ok(!(await isGone(pid)), 'it was not started twice');
    await next.stop(adopted, ['one'], signal);
    assert.ok(await isGone(pid));
  });
});
