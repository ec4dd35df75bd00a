import assert from 'node:assert/strict';
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, fsyncSync, mkdirSync, openSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { cutModes, mountPowerDisk, powerDisksMissing } from '#kernel/testing/power-disk.ts';
import { installation } from '#s3/bucket-settings.ts';
import { createMemoryBackend } from '#s3/testing/memory-backend.ts';
import { type Command, type Contents, contentsOf, isReading, type Step, send, stepsOf } from './testing/commands.ts';

/*
 * The power is cut while clients write to several buckets, on a disk that forgets what was not synced. What was acknowledged is there with all that
 * was set at it; of a request that was not, all is there or nothing.
 *
 * `CELLAR_POWER_CUTS=1000` for a long run, `CELLAR_SEED` for another one.
 */
const cuts = Number(process.env['CELLAR_POWER_CUTS'] ?? 5);
const seed = Number(process.env['CELLAR_SEED'] ?? 1);
const requestsMax = 40;
const keys = ['a', 'b', 'c/d', 'c/d/e', 'c/', 'f//g', 'x'.repeat(300)];
const verbs = ['put', 'delete', 'copy', 'tag', 'versioning', 'upload', 'part', 'complete', 'abort', 'versions'] as const;

/** A bucket with one client. */
interface Client {
  readonly bucket: string;
  readonly done: Command[];
  /** Sent and not answered. */
  doubt: Command | undefined;
}

test(`${cuts} power cuts: nothing acknowledged is lost, nothing is half there`, {
  skip: powerDisksMissing(),
  timeout: 60_000 + cuts * 10_000,
}, async (t) => {
  await using disk = await mountPowerDisk();
  const clients: Client[] = ['plain', 'other', 'versioned', 'both'].map((bucket) => ({ bucket, done: [], doubt: undefined }));
  for (const { bucket } of clients) makeLasting(join(disk.path, 'buckets', bucket), disk.path);
  for (const { bucket, done } of clients) if (bucket === 'versioned') done.push({ verb: 'versioning', to: 'Enabled' });
  let backend = await startFixture(disk.path, clients);
  t.after(() => backend.kill());
  for (const { bucket, done } of clients) for (const command of done) await backend.ask(bucket, command);
  const lost = { names: 0, pages: 0, files: 0 };
  let requests = 0;
  for (let cut = 1; cut <= cuts; cut++) {
    const say = (what: string): string => `cut ${cut} (seed ${seed}): ${what}`;
    const steps = fc.sample(stepsOf(keys, verbs, requestsMax), { seed: seed * 1_000_003 + cut, numRuns: clients.length * 20 });
    const { promise: isTime, resolve: now } = Promise.withResolvers<void>();
    let left = 5 + ((cut * 7919 * seed) % requestsMax);
    let isOver = false;
    const work = clients.map(async (client, at) => {
      for (const command of steps
        .slice(at * 20, (at + 1) * 20)
        .flat()
        .filter(isCommand)
        .map(({ command }) => command)) {
        if (isOver) return;
        client.doubt = command;
        const answer = await backend.ask(client.bucket, command);
        // What is refused since the disk fails may have happened.
        if (!answer || (isOver && isRefusal(answer.answer))) return;
        requests++;
        if (!isReading(command) && !isRefusal(answer.answer)) client.done.push(command);
        client.doubt = undefined;
        if (--left === 0) now();
      }
      now();
    });
    await isTime;
    isOver = true;
    const taken = await disk.cut(cutModes[cut % cutModes.length] ?? 'all', seed * 1000 + cut);
    await backend.kill();
    await Promise.all(work);
    for (const what of ['names', 'pages', 'files'] as const) lost[what] += taken[what];
    await disk.restore();
    backend = await startFixture(disk.path, clients);
    for (const client of clients) {
      const found = (await backend.ask(client.bucket))?.answer;
      const before = await reference(client.done);
      const after = client.doubt && (await reference([...client.done, client.doubt]));
      const isAfter = after !== undefined && isDeepStrictEqual(found, plain(after));
      if (!isAfter)
        assert.deepEqual(found, plain(before), say(`${client.bucket}, not answered: ${JSON.stringify(client.doubt)}`));
      else if (client.doubt) client.done.push(client.doubt);
      client.doubt = undefined;
    }
  }
  t.diagnostic(`${requests} requests; lost ${JSON.stringify(lost)}`);
});

const isCommand = (step: Step): step is Exclude<Step, 'restart'> => step !== 'restart';
const isRefusal = (answer: unknown): boolean => typeof answer === 'object' && answer !== null && 'refused' in answer;
/** As it comes from another process. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value)) as unknown;

async function reference(commands: readonly Command[]): Promise<Contents> {
  const model = createMemoryBackend({ partSizeBytesMin: 5 });
  await model.createBucket('bucket', { owner: installation });
  for (const command of commands) await send(model, 'bucket', command);
  return await contentsOf(model, 'bucket', true);
}

/** A folder that a person made long ago. */
function makeLasting(path: string, root: string): void {
  mkdirSync(path, { recursive: true });
  for (let made = path; made !== root; made = dirname(made)) {
    const folder = openSync(dirname(made), 'r');
    fsyncSync(folder);
    closeSync(folder);
  }
}

interface Answer {
  readonly answer: unknown;
}

interface Fixture {
  /** `undefined`: no answer, or that it failed. */
  ask(bucket: string, command?: Command): Promise<Answer | undefined>;
  kill(): Promise<void>;
}

async function startFixture(folder: string, clients: readonly Client[]): Promise<Fixture> {
  const script = join(import.meta.dirname, 'testing/power.fixture.ts');
  const args = [script, folder, ...clients.map(({ bucket }) => bucket)];
  const child: ChildProcessByStdio<Writable, Readable, null> = spawn(process.execPath, args, {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const waiting = new Map<number, (answer: Answer | undefined) => void>();
  const started = new Promise<void>((resolve, reject) => {
    waiting.set(-1, () => resolve());
    child.once('exit', () => reject(new Error('The backend did not start')));
  });
  const exited = once(child, 'exit').then(() => {
    for (const answer of waiting.values()) answer(undefined);
  });
  child.stdin.on('error', () => undefined);
  createInterface(child.stdout).on('line', (line) => {
    const { at, error, answer } = JSON.parse(line) as { at: number; error?: string; answer?: unknown };
    waiting.get(at)?.(error === undefined ? { answer } : undefined);
    waiting.delete(at);
  });
  let count = 0;
  await started;
  return {
    ask(bucket, command) {
      const at = count++;
      return new Promise((resolve) => {
        if (child.exitCode !== null || child.signalCode !== null) return resolve(undefined);
        waiting.set(at, resolve);
        child.stdin.write(`${JSON.stringify({ at, bucket, command })}\n`);
      });
    },
    async kill() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}
