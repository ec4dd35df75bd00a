import assert from 'node:assert/strict';
import {
  cpSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { SyncStatus_State } from '#gen/cellar/data/v1/sync_pb.ts';
import { Fault } from '#kernel/fault.ts';
import { until } from '#kernel/testing/engines.ts';
import { escapeName } from '#lib/escaped-name.ts';
import { compareUtf8 } from '#lib/utf8-order.ts';
import { index } from '../index/main.ts';
import { objects } from '../objects/main.ts';
import { type DataPlatform, startDataPlatform } from '../testing/data-platform.ts';
import { sync } from './main.ts';

interface Write {
  readonly by: 'hand' | 's3';
  readonly verb: 'write' | 'mkdir' | 'remove' | 'move' | 'copy';
  readonly path: string;
  /** Of moves, copies and links. */
  readonly to: string;
  /** Of a file to write. */
  readonly size: number;
}

/** What only other programs do. */
interface Odd {
  readonly verb: 'link' | 'symlink' | 'time' | 'bad name';
  readonly path: string;
  readonly to: string;
  readonly size: number;
}

interface Wait {
  readonly verb: 'wait';
  readonly ms: number;
}

/** What people do. */
interface Control {
  readonly verb: 'pause' | 'resume' | 'resync';
  readonly path: string;
}

type Step = Write | Odd | Wait | Control;

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
  {
    weight: 3,
    arbitrary: fc.record({
      ...{ verb: fc.constantFrom('link' as const, 'symlink' as const, 'time' as const, 'bad name' as const) },
      ...{ path, to: path, size: fc.nat(5) },
    }),
  },
  { weight: 1, arbitrary: fc.record({ verb: fc.constant('wait' as const), ms: fc.constantFrom(0, 5, 120) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      verb: fc.constantFrom('pause' as const, 'resume' as const, 'resync' as const),
      path: fc.oneof(path, fc.constant('')),
    }),
  },
);

/** Steps that are impossible are part of the game: they fail and change nothing, or something, and the index has to follow either way. */
async function take(data: DataPlatform, one: Step): Promise<void> {
  const folder = data.folder();
  try {
    if (one.verb === 'wait') await new Promise((resolve) => setTimeout(resolve, one.ms));
    else if (one.verb === 'pause') await data.sync().pause({ reason: 'random' });
    else if (one.verb === 'resume') await data.sync().resume({});
    else if (one.verb === 'resync') await Array.fromAsync(data.sync().resync({ path: one.path }));
    else if (!('size' in one)) assert.fail(`nothing is known of ${one.verb}`);
    else if (!('by' in one)) oddly(folder, one);
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

function oddly(folder: string, { verb, path: at, to, size }: Odd): void {
  if (verb === 'link') linkSync(join(folder, at), join(folder, to));
  else if (verb === 'symlink') symlinkSync(join(folder, at), join(folder, to));
  else if (verb === 'time') utimesSync(join(folder, at), [0, -1e9, 5e9, 1.4e10, 1][size % 5] ?? 0, size * 1e9);
  else writeFileSync(Buffer.concat([Buffer.from(join(folder, at)), Buffer.from([0xff, 0x80 + size])]), 'x'.repeat(size));
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

function onDisk(folder: Buffer, below = ''): string[] {
  const lines = readdirSync(folder, 'buffer').flatMap((name): string[] => {
    const at = below === '' ? escapeName(name) : `${below}/${escapeName(name)}`;
    if (at === '.cellar') return [];
    const path = Buffer.concat([folder, Buffer.from('/'), name]);
    const stats = lstatSync(path);
    if (stats.isDirectory()) return [`${at}/`, ...onDisk(path, at)];
    return stats.isFile() ? [`${at} ${stats.size}`] : [];
  });
  return lines.sort((a, b) => compareUtf8(a.split(' ')[0] ?? '', b.split(' ')[0] ?? ''));
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
      await data.sync().resume({});
      // A write may be on its way into the index still when its file is gone again, so list and totals have to agree at one time.
      const both = async () => ({
        index: [await inIndex(data), await totals(data)],
        disk: [onDisk(Buffer.from(data.folder())), totalsOf(onDisk(Buffer.from(data.folder())))],
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
