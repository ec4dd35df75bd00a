import assert from 'node:assert/strict';
import { cpSync, existsSync, lstatSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { SyncStatus_State } from '#gen/cellar/data/v1/sync_pb.ts';
import { Fault } from '#kernel/fault.ts';
import { until } from '#kernel/testing/engines.ts';
import { compareUtf8 } from '#lib/utf8-order.ts';
import { index } from '../index/main.ts';
import { objects } from '../objects/main.ts';
import { type DataPlatform, startDataPlatform } from '../testing/data-platform.ts';
import { sync } from './main.ts';

interface Write {
  readonly by: 'hand' | 's3';
  readonly verb: 'write' | 'mkdir' | 'remove' | 'move' | 'copy';
  readonly path: string;
  /** Of moves and copies. */
  readonly to: string;
  /** Of a file to write. */
  readonly size: number;
}

interface Wait {
  readonly verb: 'wait';
  readonly ms: number;
}

type Step = Write | Wait;

const name = fc.constantFrom('a', 'b', 'c', 'a-');
const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((names) => names.join('/'));
const by = fc.constantFrom('hand' as const, 's3' as const);
const verb = fc.oneof(
  { weight: 6, arbitrary: fc.constant('write' as const) },
  { weight: 3, arbitrary: fc.constantFrom('mkdir' as const, 'remove' as const) },
  { weight: 4, arbitrary: fc.constantFrom('move' as const, 'copy' as const) },
);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ by, verb, path, to: path, size: fc.nat(5) }) },
  { weight: 1, arbitrary: fc.record({ verb: fc.constant('wait' as const), ms: fc.constantFrom(0, 5, 120) }) },
);

/** Steps that are impossible are part of the game: they fail and change nothing, or something, and the index has to follow either way. */
async function take(data: DataPlatform, one: Step): Promise<void> {
  const folder = data.folder();
  try {
    if (one.verb === 'wait') await new Promise((resolve) => setTimeout(resolve, one.ms));
    else if (one.by === 'hand') byHand(folder, one);
    else await byS3(data, one);
  } catch (error) {
    const isSystem = error instanceof Error && 'code' in error;
    if (!isSystem) throw error;
    if (error instanceof Fault) assert.notEqual(error.code, 'internal', String(error.cause ?? error));
  }
}

function byHand(folder: string, one: Write): void {
  const at = join(folder, one.path);
  if (one.verb === 'write') writeFileSync(at, 'x'.repeat(one.size));
  else if (one.verb === 'mkdir') mkdirSync(at, { recursive: true });
  else if (one.verb === 'remove') rmSync(at, { recursive: true });
  else if (one.verb === 'move') renameSync(at, join(folder, one.to));
  else if (!one.to.startsWith(one.path) && !existsSync(join(folder, one.to)))
    cpSync(at, join(folder, one.to), { recursive: true });
}

async function byS3({ objects: client }: DataPlatform, one: Write): Promise<void> {
  const at = { bucket: 'docs', key: one.path };
  if (one.verb === 'write') {
    await client.putObject(
      (async function* () {
        yield { target: at };
        yield { data: Buffer.alloc(one.size) };
      })(),
    );
  } else if (one.verb === 'mkdir') await client.makeFolder(at);
  else if (one.verb === 'remove') await client.deletePath({ ...at, recursive: true });
  else if (one.verb === 'move') await client.movePath({ ...at, newKey: one.to, overwrite: true });
  else await client.copyPath({ ...at, newKey: one.to, overwrite: true });
}

function onDisk(folder: string, below = ''): string[] {
  return readdirSync(join(folder, below))
    .filter((entry) => below !== '' || entry !== '.cellar')
    .flatMap((entry) => {
      const at = below === '' ? entry : `${below}/${entry}`;
      const stats = lstatSync(join(folder, at));
      return stats.isDirectory() ? [`${at}/`, ...onDisk(folder, at)] : [`${at} ${stats.size}`];
    })
    .sort((a, b) => compareUtf8(a.split(' ')[0] ?? '', b.split(' ')[0] ?? ''));
}

async function inIndex(data: DataPlatform): Promise<string[]> {
  const lines: string[] = [];
  for await (const { nodes } of data.index().walkNodes({ path: '' }))
    for (const node of nodes) lines.push(node.entry?.isFolder ? `${node.path}/` : `${node.path} ${node.entry?.sizeBytes}`);
  return lines;
}

async function totals(data: DataPlatform): Promise<[files: number, bytes: number]> {
  const { files, sizeBytes } = await data.index().getPosition({});
  return [Number(files), Number(sizeBytes)];
}

function totalsOf(lines: readonly string[]): [files: number, bytes: number] {
  const files = lines.filter((line) => !line.endsWith('/'));
  return [files.length, files.reduce((sum, line) => sum + Number(line.split(' ')[1]), 0)];
}

test('whatever happens to the folder, by hand or through objects, the index says the same in the end', async (t) => {
  const data = await startDataPlatform(t, { only: [index.name, sync.name, objects.name] });
  await until(async () => (await data.sync().getSyncStatus({})).state === SyncStatus_State.WATCHING);
  const runs = Number(process.env['CELLAR_RANDOM_RUNS'] ?? 15);
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 30 }), async (steps) => {
      for (const one of steps) await take(data, one);
      // A write may be on its way into the index still when its file is gone again, so list and totals have to agree at one time.
      const both = async () => ({
        index: [await inIndex(data), await totals(data)],
        disk: [onDisk(data.folder()), totalsOf(onDisk(data.folder()))],
      });
      const isSame = async (): Promise<boolean> => {
        const { index: known, disk } = await both();
        return JSON.stringify(known) === JSON.stringify(disk);
      };
      await until(isSame, 3000).catch(async () => {
        const { index: known, disk } = await both();
        assert.deepEqual(known, disk);
      });
    }),
    { numRuns: runs, endOnFailure: true, interruptAfterTimeLimit: 100_000 },
  );
});
