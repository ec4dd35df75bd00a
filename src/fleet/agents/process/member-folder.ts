import { randomUUID } from 'node:crypto';
import { closeSync, fstatSync, ftruncateSync, openSync, readSync, renameSync, writeSync } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isSystemError } from '#lib/system-error.ts';
import type { PlannedMember } from '../../blueprints/logic/plan-members.ts';
import type { ClusterRef } from '../../driver/driver.ts';
import type { ProcessId } from './processes.ts';

/** Which process a member last was. */
export interface Run extends ProcessId {
  readonly bootId: string;
  readonly startedMs: number;
  readonly restarts: number;
}

/** What a member is made from; kept so that it can be started again as it was. */
export interface MemberRecord {
  readonly digest: string;
  readonly member: PlannedMember;
}

export interface MemberPlace extends ClusterRef {
  readonly member: string;
}

const recordName = 'member.json';
const runName = 'run.json';
const exitName = 'exit';
const logSizeBytesMax = 16 * 1024 * 1024;
const logKeptBytes = 4 * 1024 * 1024;

/**
 * Where local members live: `<cluster>.<incarnation>/<member>/`, with what they are made from, which process they are, how the last one ended,
 * their output, and `root`, the folder they run in and keep their volumes and files below.
 */
export class MemberFolders {
  readonly #base: string;

  constructor(base: string) {
    this.#base = base;
  }

  path({ cluster, incarnation, member }: MemberPlace): string {
    return join(this.clusterPath({ cluster, incarnation }), member);
  }

  clusterPath({ cluster, incarnation }: ClusterRef): string {
    return join(this.#base, `${cluster}.${incarnation}`);
  }

  root = (place: MemberPlace): string => join(this.path(place), 'root');
  log = (place: MemberPlace): string => join(this.path(place), 'log');
  exit = (place: MemberPlace): string => join(this.path(place), exitName);

  /** All clusters that have a folder. */
  async clusters(): Promise<readonly ClusterRef[]> {
    const names = await listOrNothing(this.#base);
    return names.flatMap((name) => {
      const [, cluster = '', incarnation = ''] = /^(.+)\.(\d+)$/.exec(name) ?? [];
      return cluster === '' ? [] : [{ cluster, incarnation: Number(incarnation) }];
    });
  }

  async members(ref: ClusterRef): Promise<readonly MemberPlace[]> {
    return (await listOrNothing(this.clusterPath(ref))).map((member) => ({ ...ref, member }));
  }

  /** Makes the folder with its files; those that are there are written anew. The record is last: with it the member is whole. */
  async make(place: MemberPlace, record: MemberRecord): Promise<void> {
    const root = this.root(place);
    await mkdir(root, { recursive: true, mode: 0o700 });
    for (const { path } of record.member.volumes) await mkdir(join(root, path), { recursive: true });
    for (const { path, text, secret, executable } of record.member.files) {
      const target = join(root, path);
      await mkdir(dirname(target), { recursive: true });
      await writeWhole(target, text, secret ? 0o600 : executable ? 0o755 : 0o644);
    }
    await writeWhole(join(this.path(place), recordName), JSON.stringify(record), 0o600);
  }

  record = (place: MemberPlace): Promise<MemberRecord | undefined> => readJson<MemberRecord>(join(this.path(place), recordName));
  run = (place: MemberPlace): Promise<Run | undefined> => readJson<Run>(join(this.path(place), runName));
  noteRun = (place: MemberPlace, run: Run): Promise<void> =>
    writeWhole(join(this.path(place), runName), JSON.stringify(run), 0o600);

  /** How the last process ended, as far as it was noted. */
  async exitCode(place: MemberPlace): Promise<number | undefined> {
    const text = (await readOrNothing(this.exit(place)))?.trim();
    return text && /^\d+$/.test(text) ? Number(text) : undefined;
  }

  /** The end of what the member wrote, without colours, on one line. */
  async lastLine(place: MemberPlace): Promise<string> {
    const tail = await readTail(this.log(place), 4096);
    const lines = tail
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: colours of terminals start with one.
    return (lines.at(-1) ?? '').replace(/\u001b\[[0-9;]*m/g, '').slice(0, 300);
  }

  /** Keeps a log from filling the disk: of one that has grown too long the end goes to `log.1`, and what was there before is lost. */
  async trimLog(place: MemberPlace): Promise<void> {
    const path = this.log(place);
    if ((await sizeOf(path)) <= logSizeBytesMax) return;
    moveTail(path, `${path}.1`, logKeptBytes);
  }

  async remove(ref: ClusterRef): Promise<boolean> {
    const path = this.clusterPath(ref);
    const isThere = (await listOrNothing(this.#base)).includes(`${ref.cluster}.${ref.incarnation}`);
    if (isThere) await rm(path, { recursive: true, force: true });
    return isThere;
  }
}

/** Two may write one file at once: a supervisor that is about to be replaced, and the one after it. */
async function writeWhole(path: string, text: string, mode: number): Promise<void> {
  const own = `${path}.${randomUUID()}.tmp`;
  await writeFile(own, text, { mode, flush: true });
  await rename(own, path);
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return 0;
    throw error;
  }
}

/**
 * Moves the end of a file that somebody goes on writing to another one, and empties it. Nothing is awaited on the way: what is written
 * between the last look and the emptying is lost, and that are microseconds so.
 */
function moveTail(path: string, target: string, sizeBytes: number): void {
  const own = `${target}.${randomUUID()}.tmp`;
  const from = openSync(path, 'r+');
  const to = openSync(own, 'wx', 0o600);
  try {
    const buffer = Buffer.allocUnsafe(sizeBytes);
    let position = Math.max(0, fstatSync(from).size - sizeBytes);
    const copyRest = (): void => {
      for (let count = -1; count !== 0; position += count) {
        count = readSync(from, buffer, 0, buffer.length, position);
        for (let written = 0; written < count; ) written += writeSync(to, buffer, written, count - written);
      }
    };
    copyRest();
    renameSync(own, target);
    copyRest();
    ftruncateSync(from);
  } finally {
    closeSync(to);
    closeSync(from);
  }
}

async function readTail(path: string, sizeBytes: number): Promise<string> {
  try {
    await using file = await open(path, 'r');
    const { size } = await file.stat();
    const buffer = Buffer.alloc(Math.min(size, sizeBytes));
    await file.read(buffer, 0, buffer.length, Math.max(0, size - sizeBytes));
    return buffer.toString();
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return '';
    throw error;
  }
}

async function readJson<T>(path: string): Promise<T | undefined> {
  const text = await readOrNothing(path);
  return text === undefined ? undefined : (JSON.parse(text) as T);
}

async function readOrNothing(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}

async function listOrNothing(path: string): Promise<readonly string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR')) return [];
    throw error;
  }
}
