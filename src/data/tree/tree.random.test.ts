import assert from 'node:assert/strict';
import { cpSync, existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { lossyWatch } from '#data/testing/lossy-watch.ts';
import { Node_Kind } from '#gen/cellar/data/v1/node_pb.ts';
import { SyncStatus_State } from '#gen/cellar/data/v1/sync_pb.ts';
import { Fault } from '#kernel/fault.ts';
import { postgresForFile } from '#kernel/testing/databases.ts';
import { temporaryFolder, until } from '#kernel/testing/engines.ts';
import { type DataPlatform, startDataPlatform, temporaryParent } from '../testing/data-platform.ts';

/*
 * Random requests to the tree, changes by other programs, restarts and lost notifications. The model is as small as can be: the contents of
 * files by path. After every request of ours the tree says at once what the disk holds, and the disk holds what the model says; what other
 * programs do is seen soon, and after a resync when its notifications were lost.
 */
const runs = Number(process.env['CELLAR_RANDOM_RUNS'] ?? 20);

type Verb = 'write' | 'mkdir' | 'remove' | 'move' | 'copy';
type Step =
  | { readonly by: 'us' | 'others'; readonly verb: Verb; readonly path: string; readonly to: string; readonly text: string }
  | { readonly by: 'nobody'; readonly verb: 'settle' | 'restart' | 'lose' };

/** Contents by path below the datasource. */
type Model = Map<string, string>;

const path = fc.array(fc.constantFrom('a', 'b', 'c', 'a-'), { minLength: 1, maxLength: 3 }).map((names) => names.join('/'));
const verb = fc.constantFrom<Verb[]>('write', 'write', 'write', 'mkdir', 'remove', 'move', 'move', 'copy');
const text = fc.nat(99_999).map((number) => `${number}`.repeat((number % 7) * 9));
const request = (by: 'us' | 'others') => fc.record({ by: fc.constant(by), verb, path, to: path, text });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 12, arbitrary: request('us') },
  { weight: 6, arbitrary: request('others') },
  { weight: 2, arbitrary: fc.constant({ by: 'nobody' as const, verb: 'settle' as const }) },
  { weight: 1, arbitrary: fc.constant({ by: 'nobody' as const, verb: 'lose' as const }) },
  { weight: 1, arbitrary: fc.constant({ by: 'nobody' as const, verb: 'restart' as const }) },
);

const isAt = (one: string, at: string): boolean => one === at || one.startsWith(`${at}/`);

/** What a request that succeeded has made of the files. */
function apply(model: Model, { verb: done, path: from, to, text: content }: Extract<Step, { path: string }>): void {
  if (done === 'write') model.set(from, content);
  const moved = [...model]
    .filter(([at]) => isAt(at, from))
    .map(([at, held]): [string, string] => [to + at.slice(from.length), held]);
  if (done === 'remove' || done === 'move') for (const at of [...model.keys()]) if (isAt(at, from)) model.delete(at);
  if (done === 'move' || done === 'copy') for (const [at, held] of moved) model.set(at, held);
}

async function byUs(
  { tree }: DataPlatform,
  { verb: wanted, path: at, to, text: content }: Extract<Step, { path: string }>,
): Promise<void> {
  const one = `docs/${at}`;
  const target = `docs/${to}`;
  if (wanted === 'write') {
    const messages = async function* () {
      yield { path: one };
      yield { content: { data: Buffer.from(content) } };
    };
    await tree.upload(messages());
  } else if (wanted === 'mkdir') await tree.makeFolder({ path: one });
  else if (wanted === 'remove') await tree.delete({ path: one, recursive: true });
  else if (wanted === 'move') await tree.move({ path: one, target, overwrite: true });
  else await tree.copy({ path: one, target, overwrite: true });
}

function byOthers(folder: string, { verb: wanted, path: at, to, text: content }: Extract<Step, { path: string }>): void {
  const file = join(folder, at);
  const target = join(folder, to);
  if (wanted === 'write') writeFileSync(file, content);
  else if (wanted === 'mkdir') mkdirSync(file, { recursive: true });
  else if (wanted === 'remove') rmSync(file, { recursive: true });
  else if (existsSync(target) || isAt(to, at)) throw Object.assign(new Error('something is there'), { code: 'EEXIST' });
  else if (wanted === 'move') renameSync(file, target);
  else cpSync(file, target, { recursive: true });
}

function onDisk(folder: string, below = ''): string[] {
  return readdirSync(join(folder, below))
    .filter((name) => below !== '' || name !== '.cellar')
    .flatMap((name) => {
      const at = below === '' ? name : `${below}/${name}`;
      const stats = lstatSync(join(folder, at));
      return stats.isDirectory() ? [`${at}/`, ...onDisk(folder, at)] : [`${at} ${stats.size}`];
    })
    .sort();
}

async function inTree(data: DataPlatform, below = 'docs'): Promise<string[]> {
  const { nodes, stale } = await data.tree.list({ path: below });
  assert.equal(stale, false, 'the listing is stale');
  const lines = nodes.map(async ({ path: at, kind, sizeBytes }) =>
    kind === Node_Kind.FOLDER ? [`${at.slice(5)}/`, ...(await inTree(data, at))] : [`${at.slice(5)} ${sizeBytes}`],
  );
  return (await Promise.all(lines)).flat().sort();
}

function assertHeld(folder: string, model: Model): void {
  const files = onDisk(folder).filter((line) => !line.endsWith('/'));
  const found = files
    .map((line) => line.slice(0, line.lastIndexOf(' ')))
    .map((at) => [at, readFileSync(join(folder, at), 'utf8')]);
  assert.deepEqual(Object.fromEntries(found), Object.fromEntries(model), 'the disk does not hold what was written');
}

async function play(t: TestContext, databaseUrl: (() => Promise<string>) | undefined): Promise<void> {
  const parent = temporaryParent(t);
  using home = temporaryFolder();
  const options = { parent, home: home.path, ...(databaseUrl ? { databaseUrl: await databaseUrl() } : {}) };
  const start = async (): Promise<DataPlatform> => {
    const started = await startDataPlatform(t, options);
    await until(async () => (await started.sync().getSyncStatus({})).state === SyncStatus_State.WATCHING, 15_000);
    return started;
  };
  let data = await start();
  const folder = data.folder();
  const settled = async (): Promise<void> => {
    const isSame = async (): Promise<boolean> => (await inTree(data)).join('\n') === onDisk(folder).join('\n');
    await until(isSame, 5000).catch(async () =>
      assert.deepEqual(await inTree(data), onDisk(folder), 'the tree does not follow the disk'),
    );
  };
  const resync = async (): Promise<void> => {
    for await (const _progress of data.sync().resync({})); // Its end is what counts.
  };

  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 40 }), async (steps) => {
      for (const name of readdirSync(folder)) if (name !== '.cellar') rmSync(join(folder, name), { recursive: true });
      await resync();
      const model: Model = new Map();
      let isQuiet = true;
      lossyWatch.loss = 0;
      try {
        for (const one of [...steps, { by: 'nobody', verb: 'settle' } as const]) {
          if (one.by === 'nobody') {
            if (one.verb === 'restart') {
              await data.stop();
              data = await start();
            }
            if (one.verb === 'lose') lossyWatch.loss = 0.5;
            else {
              if (lossyWatch.loss > 0) await resync();
              lossyWatch.loss = 0;
              await settled();
              isQuiet = true;
            }
            continue;
          }
          try {
            if (one.by === 'us') await byUs(data, one);
            else byOthers(folder, one);
            apply(model, one);
          } catch (error) {
            const isRefused = error instanceof Fault ? error.code !== 'internal' : error instanceof Error && 'code' in error;
            if (!isRefused || error instanceof assert.AssertionError) throw error;
          }
          if (one.by === 'others') isQuiet = false;
          assertHeld(folder, model);
          if (isQuiet) assert.deepEqual(await inTree(data), onDisk(folder), 'the tree does not say at once what was done');
        }
      } finally {
        lossyWatch.loss = 0;
      }
    }),
    { numRuns: runs, endOnFailure: !process.env['CELLAR_SHRINK'], interruptAfterTimeLimit: 60_000, ...seed() },
  );
  t.diagnostic(`${lossyWatch.lost} notifications were lost`);
  await data.stop();
}

const seed = () => (process.env['CELLAR_SEED'] ? { seed: Number(process.env['CELLAR_SEED']) } : {});

const postgres = await postgresForFile();
after(() => postgres.stop());

test('the tree says what was done, on SQLite', (t) => play(t, undefined));
test('the tree says what was done, on PostgreSQL', { skip: postgres.skip }, (t) =>
  play(t, () => postgres.server().createDatabase()),
);
