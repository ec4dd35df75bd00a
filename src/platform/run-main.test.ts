import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { ServiceState_State, Services, Settings } from '#gen/cellar/platform/v1/services_pb.ts';
import { Code, Fault } from '#kernel/fault.ts';
import { isReady, puppetHome, startPuppets } from './testing/puppet-platform.ts';

const quick = 'process: {heartbeatMs: 50, hangMs: 5000, backoffMs: 50, checkMs: 100, stopMs: 1000, memoryMaxMib: 400}\n';

test('each service has its process, under its name', async () => {
  await using platform = await startPuppets();
  const { one, two, ...rest } = await platform.services();
  assert.ok(one && two);
  assert.notEqual(one.pid, two.pid);
  assert.equal(rest['cellar.grpc.keeper']?.pid, process.pid);
  assert.equal(
    await readFile(`/proc/${one.pid}/cmdline`, 'utf8').then((text) => text.replace(/\0.*/s, '')),
    'cellar start --fork cellar.grpc.puppets.one',
  );
  assert.ok(one.memoryBytes > 10_000_000n);
  assert.deepEqual(platform.main.notReady(), []);
});

test('killing one: it is back within 3 seconds and the others answer all the while', async () => {
  await using platform = await startPuppets({ datasources: ['one', 'two', 'three'] });
  for (const victim of ['one', 'two', 'three']) {
    const before = (await platform.services())[victim];
    assert.ok(before);
    const startMs = Date.now();
    process.kill(before.pid, 'SIGKILL');
    const back = platform.until(victim, (state) => isReady(state) && state.pid !== before.pid);
    for (const other of ['one', 'two', 'three'].filter((name) => name !== victim))
      assert.ok((await platform.act(other, 'pid')).pid);
    const after = await back;
    assert.ok(Date.now() - startMs < 3000, `${Date.now() - startMs} ms`);
    assert.equal(after.restarts, 1);
    assert.equal((await platform.act(victim, 'pid')).pid, after.pid);
  }
});

test('a call to a service that is away fails quickly, through every process', async () => {
  await using platform = await startPuppets();
  assert.equal(Number((await platform.act('one', 'ask', 'two')).answer), (await platform.services())['two']?.pid);
  await platform.act('two', 'exit', '3').catch(() => undefined);
  await platform.act('two', 'exit', '3').catch(() => undefined);
  const startMs = Date.now();
  await assert.rejects(
    platform.act('one', 'ask', 'nobody'),
    (error) => error instanceof Fault && error.code === Code.Unavailable,
  );
  assert.ok(Date.now() - startMs < 1000);
  await platform.until('two', isReady);
  // The registry of `one` has learnt of the new process.
  await untilAnswers(
    async () => Number((await platform.act('one', 'ask', 'two')).answer) === (await platform.services())['two']?.pid,
  );
});

test('a crash says why in the log, and is answered by a restart', async () => {
  await using platform = await startPuppets({ yaml: quick });
  // It may end before it has answered.
  await platform.act('one', 'crash').catch(() => undefined);
  await platform.until('one', (state) => isReady(state) && state.restarts === 1);
  const log = await readFile(join(platform.home, 'logs/cellar.log'), 'utf8');
  assert.match(log, /crashed as asked/);
});

test('who keeps crashing is restarted ever more slowly', async () => {
  await using platform = await startPuppets({ yaml: 'process: {backoffMs: 2000}\n' });
  await platform.act('one', 'exit', '3').catch(() => undefined);
  await platform.until('one', (state) => isReady(state) && state.restarts === 1);
  await platform.act('one', 'exit', '3').catch(() => undefined);
  const state = await platform.until('one', ({ state: now }) => now === ServiceState_State.BACKOFF);
  assert.match(state.reason, /code 3/);
  // A person who asks does not wait.
  const again = await platform.client(Services).restartService({ name: 'cellar.grpc.puppets.one' });
  assert.equal(again.state, ServiceState_State.READY);
});

test('who hangs is killed and restarted', async () => {
  await using platform = await startPuppets({ yaml: 'process: {heartbeatMs: 50, hangMs: 1000}\n' });
  const before = (await platform.services())['one']?.pid;
  await platform.act('one', 'hang', '60000').catch(() => undefined);
  const after = await platform.until('one', (state) => isReady(state) && state.pid !== before);
  assert.equal(after.restarts, 1);
  assert.ok((await platform.act('one', 'pid')).pid);
});

test('who uses too much memory is restarted in order', async () => {
  await using platform = await startPuppets({ yaml: 'process: {heartbeatMs: 50, memoryMaxMib: 400}\n' });
  const before = (await platform.services())['one']?.pid;
  await platform.act('one', 'leak', '500').catch(() => undefined);
  const after = await platform.until('one', (state) => isReady(state) && state.pid !== before);
  assert.equal(after.restarts, 1);
  assert.match(await readFile(join(platform.home, 'logs/cellar.log'), 'utf8'), /more than the allowed 400 MiB/);
});

test('a check that fails makes a service unhealthy until it succeeds', async () => {
  await using platform = await startPuppets({ yaml: quick });
  await platform.act('one', 'ill', 'the disk is away');
  const ill = await platform.until('one', ({ state }) => state === ServiceState_State.UNHEALTHY);
  assert.equal(ill.reason, 'the disk is away');
  await platform.act('one', 'ill', '');
  const well = await platform.until('one', isReady);
  assert.equal(well.reason, '');
  assert.equal(well.restarts, 0);
});

test('stopping is bounded also when a service does not want to', async () => {
  const platform = await startPuppets({ yaml: quick });
  const { pid } = await platform.act('one', 'stubborn');
  const startMs = Date.now();
  await platform[Symbol.asyncDispose]();
  assert.ok(Date.now() - startMs < 4000);
  assert.throws(() => process.kill(pid, 0), /ESRCH/);
});

test('a datasource that cannot be served is told of and does not hold up others; it comes back by itself', async () => {
  const home = await puppetHome(['one', 'two'], quick);
  await rm(join(home, 'data/one'), { recursive: true });
  await using platform = await startPuppets({ home });
  const [problem] = platform.main.notReady();
  assert.match(problem?.service ?? '', /one$/);
  assert.match(problem?.reason ?? '', /folder .* is missing/);
  assert.ok((await platform.act('two', 'pid')).pid);
  await mkdir(join(home, 'data/one'));
  await platform.until('one', isReady);
});

test('datasources come, change and go while the platform runs; others go on', async () => {
  await using platform = await startPuppets();
  const settings = platform.client(Settings);
  const untouched = (await platform.services())['two']?.pid;
  await mkdir(join(platform.home, 'data/late'));
  await settings.setSetting({ key: 'datasources.late.folder', value: join(platform.home, 'data/late') });
  await platform.until('late', isReady);
  const before = (await platform.act('late', 'pid')).pid;
  await settings.setSetting({ key: 'datasources.late.folder', value: join(platform.home, 'data') });
  await platform.until('late', (state) => isReady(state) && state.pid !== before);
  assert.deepEqual(JSON.parse((await platform.act('late', 'plan')).answer), { folder: join(platform.home, 'data') });
  await settings.unsetSetting({ key: 'datasources.late.folder' });
  await untilAnswers(async () => (await platform.services())['late'] === undefined);
  assert.equal((await platform.services())['two']?.pid, untouched);
});

for (const isForked of [true, false]) {
  const way = isForked ? 'forked' : 'in one process';
  test(`settings reach a service as they change: ${way}`, async () => {
    await using platform = await startPuppets({ isForked });
    const settings = platform.client(Settings);
    await settings.setSetting({ key: 'puppets.live', value: '7' });
    await settings.setSetting({ key: 'puppets.fixed', value: '7' });
    await untilAnswers(async () => JSON.parse((await platform.act('one', 'settings')).answer).live === 7);
    assert.equal(JSON.parse((await platform.act('one', 'settings')).answer).fixed, 1);
    await platform.client(Services).restartService({ name: 'cellar.grpc.puppets.one' });
    await untilAnswers(async () => JSON.parse((await platform.act('one', 'settings')).answer).fixed === 7);
  });

  test(`lines, audit: ${way}`, async () => {
    await using platform = await startPuppets({ isForked });
    await platform.act('one', 'count');
    await assert.rejects(platform.act('one', 'nonsense'), /no verb/);
    if (isForked) await platform.act('one', 'print', 'bare words');
    const audit = async () =>
      (await readFile(join(platform.home, 'logs/audit.log'), 'utf8'))
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Record<string, unknown>);
    await untilAnswers(async () => (await audit()).length >= 2);
    const [first, second] = await audit();
    assert.equal(first?.['name'], 'tester');
    assert.equal(first?.['method'], 'cellar.testing.v1.Puppet/Act');
    assert.deepEqual(first?.['fields'], { verb: 'count' });
    assert.equal(second?.['code'], 'invalid_argument');
    const messages: string[] = [];
    for await (const { message } of platform.client(Services).readLogs({ service: 'cellar.grpc.puppets.one', lines: 50 }))
      messages.push(message);
    assert.ok(messages.includes('service is ready'));
    if (isForked) assert.ok(messages.includes('bare words'));
  });
}

test('a log is followed', async () => {
  await using platform = await startPuppets();
  const stop = new AbortController();
  const lines = platform
    .client(Services)
    .readLogs({ service: 'cellar.grpc.puppets', lines: 1, follow: true }, { signal: stop.signal });
  const seen = (async () => {
    for await (const { message } of lines) if (message === 'a new line') return true;
    return false;
  })();
  await untilAnswers(async () => {
    await platform.act('two', 'print', 'a new line');
    return Promise.race([seen, new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 200))]);
  });
  stop.abort();
});

test('one home has one server', async () => {
  await using platform = await startPuppets();
  await assert.rejects(startPuppets({ home: platform.home }), (error) => {
    assert.ok(error instanceof Fault);
    assert.equal(error.reason, 'already_running');
    assert.match(error.message, new RegExp(`process ${process.pid}`));
    return true;
  });
  assert.ok((await platform.act('one', 'pid')).pid);
});

test('all wrong settings are told at once, and nothing is started', async () => {
  const home = await puppetHome(['one'], 'log: {levl: info}\nprocess: {hangMs: -1}\npuppets: {live: lots}\n');
  await assert.rejects(startPuppets({ home }), (error) => {
    assert.ok(error instanceof Fault);
    assert.deepEqual(
      error.violations.map(({ field }) => field),
      ['log.levl', 'process.hangMs', 'puppets.live'],
    );
    return true;
  });
  await writeFile(join(home, 'cellar.yaml'), '');
  await using _platform = await startPuppets({ home });
  await rm(home, { recursive: true, force: true });
});

test('a home that cannot be used is told of', async () => {
  const home = await puppetHome([]);
  const file = join(home, 'file');
  await writeFile(file, '');
  await assert.rejects(
    startPuppets({ home: join(file, 'home') }),
    (error) => error instanceof Fault && error.reason === 'home_unusable' && /not a folder/.test(error.message),
  );
  await rm(home, { recursive: true });
});

test('when the main process is killed its children end, and the next start finds a clean house', async () => {
  const home = await puppetHome(['one', 'two'], quick);
  const first = await startProcess(home);
  const pids = await childrenOf(first);
  assert.equal(pids.length, 2);
  first.kill('SIGKILL');
  await untilAnswers(async () => pids.every((pid) => !isAlive(pid)));
  const second = await startProcess(home);
  second.kill('SIGTERM');
  const [code] = (await once(second, 'exit')) as [number];
  assert.equal(code, 0);
  await rm(home, { recursive: true });
});

test('children that hang when the main process is killed are ended by the next start', async () => {
  const home = await puppetHome(['one'], 'process: {hangMs: 60000}\n');
  const first = await startProcess(home);
  const [pid] = await childrenOf(first);
  assert.ok(pid);
  process.kill(pid, 'SIGSTOP');
  first.kill('SIGKILL');
  await once(first, 'exit');
  assert.ok(isAlive(pid));
  const second = await startProcess(home);
  assert.ok(!isAlive(pid));
  second.kill('SIGTERM');
  await once(second, 'exit');
  await rm(home, { recursive: true });
});

async function startProcess(home: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'testing/puppet-main.ts'), home], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [said] = (await once(child.stdout, 'data')) as [Buffer];
  assert.equal(said.toString(), 'ready\n');
  return child;
}

async function childrenOf(parent: ChildProcess): Promise<number[]> {
  const text = await readFile(`/proc/${parent.pid}/task/${parent.pid}/children`, 'utf8');
  return text.trim().split(' ').filter(Boolean).map(Number);
}

/** A process that is dead and not yet buried is not alive. */
function isAlive(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false;
  }
}

async function untilAnswers(isMet: () => Promise<boolean>): Promise<void> {
  const endMs = Date.now() + 10_000;
  let last: unknown;
  while (Date.now() < endMs) {
    try {
      if (await isMet()) return;
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error('It did not come about within 10 s', { cause: last });
}
