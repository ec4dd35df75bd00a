import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { crashable, runFaulty } from '#data/objects/testing/faulty-fs.ts';
import { migrate } from '#kernel/database/migrations.ts';
import { sqliteFactory } from '#kernel/testing/databases.ts';
import { installation } from '#s3/bucket-settings.ts';
import { createMemoryBackend } from '#s3/testing/memory-backend.ts';
import type { Change } from './logic/change.ts';
import { createFolderBackend, type FolderBackend } from './logic/folder-backend.ts';
import { migrations } from './store/migrations.ts';
import { createSqlObjectStore } from './store/sql.ts';
import { type Command, contentsOf, isReading, type Step, send, stepsOf, type Verb } from './testing/commands.ts';

/*
 * Random requests, restarts and faults: the folder backend and the reference have to say the same after every step. One whose writer
 * was told of a failure, or of nothing at all, may have happened as a whole or not at all.
 *
 * `CELLAR_RANDOM_RUNS` says how many runs; a failure prints its seed and the shortest steps that show it.
 */
const runs = Number(process.env['CELLAR_RANDOM_RUNS'] ?? 150);

/** Nothing here loses power, so nothing has to wait for a disk. */
const inMemory = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

const plainVerbs: readonly Verb[] = ['put', 'delete', 'copy', 'read', 'list', 'upload', 'part', 'complete', 'abort'];
const plainKeys = ['a', 'a-', 'b.x', 'c/d', 'c/e', 'c/f/g', 'ä/ö', 'e f+%'];

interface Bench {
  readonly bucket: string;
  readonly folder: string;
  readonly changes: Change[];
  /** A new backend over what the earlier one left, as after a restart. */
  start(): Promise<FolderBackend>;
}

/** New buckets over one database. */
async function benches(t: TestContext): Promise<() => Bench> {
  const parent = realpathSync(mkdtempSync(join(inMemory, 'cellar-model-')));
  t.after(() => rmSync(parent, { recursive: true, force: true }));
  const database = await sqliteFactory.open(t, { url: 'sqlite::memory:' });
  await migrate(database, migrations);
  let count = 0;
  // Every look at the clock is later than the one before: uploads have an order.
  let nowMs = Date.now();
  return () => {
    const bucket = `bucket-${++count}`;
    mkdirSync(join(parent, bucket));
    const changes: Change[] = [];
    return {
      bucket,
      folder: join(parent, bucket),
      changes,
      async start() {
        const store = crashable(createSqlObjectStore(database));
        const { record } = crashable({ record: async (change: Change) => void changes.push(change) });
        const folders = [{ bucket, folder: bucket }];
        const backend = createFolderBackend({ parent, folders, store, record, partSizeBytesMin: 5, now: () => ++nowMs });
        await backend.sweep();
        return backend;
      },
    };
  };
}

/** The state after some commands, according to the reference, and what the last was answered. */
async function reference(commands: readonly Command[], bucket: string, hasVersions: boolean) {
  const model = createMemoryBackend({ partSizeBytesMin: 5 });
  await model.createBucket(bucket, { owner: installation });
  let answer: unknown;
  for (const command of commands) answer = await send(model, bucket, command);
  return { answer, contents: await contentsOf(model, bucket, hasVersions) };
}

/** True when the last request got as far as to its fault. */
async function compare(bench: Bench, keys: readonly string[], steps: readonly Step[], hasVersions: boolean): Promise<boolean> {
  const { bucket, folder } = bench;
  let backend = await bench.start();
  const done: Command[] = [];
  // What is left behind when even tidying up fails, until the next start.
  let mayLeave = false;
  let isLastStruck = false;
  for (const step of steps) {
    if (step === 'restart') {
      backend = await bench.start();
      mayLeave = false;
      continue;
    }
    const { command, fault } = step;
    const { result, isStruck } = await runFaulty(fault ?? { kind: 'short', at: Number.POSITIVE_INFINITY }, () =>
      send(backend, bucket, command),
    );
    if (isStruck && fault?.kind === 'crash') backend = await bench.start();
    if (isStruck) removeEmptyFolders(folder, keys);
    else if (!isStruck && result.status === 'rejected') throw result.reason;
    const after = await reference([...done, command], bucket, hasVersions);
    const contents = await contentsOf(backend, bucket, hasVersions);
    const isSure = !isStruck || (result.status === 'fulfilled' && !isRefusal(result.value));
    if (isSure && result.status === 'fulfilled') assert.deepEqual(result.value, after.answer);
    if (isSure || isDeepStrictEqual(contents, after.contents)) {
      assert.deepEqual(contents, after.contents);
      if (!isReading(command)) done.push(command);
    } else {
      const before = await reference(done, bucket, hasVersions);
      const isHalf =
        command.verb === 'complete' && isDeepStrictEqual(contents, { ...after.contents, uploads: before.contents.uploads });
      if (isHalf) {
        // The object is there and the upload still is: asked again, it is completed, and not twice.
        await send(backend, bucket, command);
        assert.deepEqual(await contentsOf(backend, bucket, hasVersions), after.contents);
        done.push(command);
      } else assert.deepEqual(contents, before.contents, 'a failed request was done in part');
    }
    isLastStruck = isStruck;
    if (isStruck) mayLeave = fault?.kind !== 'crash';
    if (!mayLeave) assert.deepEqual(leftovers(folder), []);
  }
  return isLastStruck;
}

/** A write that was killed between making a folder and noting that it did leaves it behind, for an object that somebody else made. */
function removeEmptyFolders(root: string, keys: readonly string[], below = ''): void {
  for (const entry of readdirSync(join(root, below), { withFileTypes: true })) {
    const path = `${below}${entry.name}/`;
    if (!entry.isDirectory() || path === '.cellar/') continue;
    removeEmptyFolders(root, keys, path);
    if (!keys.includes(path) && readdirSync(join(root, path)).length === 0) rmdirSync(join(root, path));
  }
}

const isRefusal = (answer: unknown): boolean => typeof answer === 'object' && answer !== null && 'refused' in answer;

function leftovers(folder: string): readonly string[] {
  try {
    return readdirSync(join(folder, '.cellar/tmp'));
  } catch {
    return []; // Nothing was written yet.
  }
}

async function check(t: TestContext, keys: readonly string[], verbs: readonly Verb[], hasVersions: boolean): Promise<void> {
  const next = await benches(t);
  await fc.assert(
    fc.asyncProperty(stepsOf(keys, verbs, 30), async (steps) => void (await compare(next(), keys, steps, hasVersions))),
    { numRuns: runs, endOnFailure: !process.env['CELLAR_SHRINK'], interruptAfterTimeLimit: 20_000, ...seed() },
  );
}

const seed = () => (process.env['CELLAR_SEED'] ? { seed: Number(process.env['CELLAR_SEED']) } : {});

test('plain keys in an unversioned bucket', (t) => check(t, plainKeys, plainVerbs, false));

const text = 'some text';
const put = (key: string, more: Partial<Extract<Command, { verb: 'put' }>> = {}): Command => ({
  verb: 'put',
  key,
  text,
  note: 'x',
  ...more,
});
const uploaded: readonly Command[] = [
  { verb: 'upload', key: 'c/d', note: 'x' },
  { verb: 'part', upload: 0, part: 1, text },
  { verb: 'part', upload: 0, part: 2, text: 'the end' },
];

/** Requests by what came before; the last of each is the one that fails. */
const scenarios: Readonly<Record<string, readonly Command[]>> = {
  'put of a new object': [put('a')],
  'put of a new object in new folders': [put('c/f/g')],
  'put over another': [put('c/d'), put('c/d', { text: 'other' })],
  'put that is not wanted': [put('c/d'), put('c/d', { text: 'other', only: 'new' })],
  'delete of the only object of its folders': [put('c/f/g'), { verb: 'delete', key: 'c/f/g' }],
  'delete of one of two': [put('c/d'), put('c/e'), { verb: 'delete', key: 'c/d' }],
  'copy to a new object': [put('a'), { verb: 'copy', key: 'a', to: 'c/d' }],
  'copy onto itself': [put('a'), { verb: 'copy', key: 'a', to: 'a' }],
  'upload is begun': uploaded.slice(0, 1),
  'part of an upload': uploaded,
  'part over another': [...uploaded, { verb: 'part', upload: 0, part: 1, text: 'other text' }],
  'upload is completed': [...uploaded, { verb: 'complete', upload: 0 }],
  'upload is completed over an object': [put('c/d'), ...uploaded, { verb: 'complete', upload: 0 }],
  'upload is aborted': [...uploaded, { verb: 'abort', upload: 0 }],
};

test('every request, failing or killed at every call it makes', async (t) => {
  const next = await benches(t);
  for (const [name, commands] of Object.entries(scenarios)) {
    await t.test(name, async (each) => {
      const last = commands.at(-1);
      assert.ok(last);
      let runCount = 0;
      for (const kind of ['crash', 'EIO', 'ENOSPC', 'short'] as const) {
        for (let at = 0, isStruck = true; isStruck; at++, runCount++) {
          const steps: readonly Step[] = [
            ...commands.slice(0, -1).map((command) => ({ command })),
            { command: last, fault: { kind, at } },
          ];
          isStruck = await compare(next(), plainKeys, steps, false).catch((cause: unknown) => {
            throw new Error(`${kind} at call ${at}`, { cause });
          });
        }
      }
      each.diagnostic(`${runCount} runs`);
    });
  }
});
