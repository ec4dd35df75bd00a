import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Database, Transaction } from '#kernel/database/database.ts';
import { Fault, notFound } from '#kernel/fault.ts';
import { syncFolder } from '#kernel/sync-folder.ts';
import { relay } from '#lib/relay.ts';
import { type Dumped, type DumpedState, dumpRows, dumpState, loadDump } from '../store/dump.ts';
import { readerOf } from '../store/reader.ts';
import { readSnapshotHeader, readSnapshotLines, type SnapshotHeader, writeSnapshotFile } from './snapshot-file.ts';

export interface Snapshot extends Omit<SnapshotHeader, 'format' | 'version' | 'tag' | 'nextId'> {
  readonly name: string;
  readonly fileBytes: number;
  /** Why it cannot be restored; empty: it can. */
  readonly problem: string;
}

export interface Progress {
  readonly done: number;
  readonly total: number;
}

export interface SnapshotParts {
  readonly database: Database;
  /** Where the files lie; made when missing. */
  readonly folder: string;
  /** How many stay. */
  readonly kept: number;
  readonly now: () => number;
  /** Head of the event stream. */
  readonly head: (signal: AbortSignal) => Promise<number>;
  /** Called in the transaction that puts a snapshot in place, after its rows. */
  readonly onRestored: (tx: Transaction, state: DumpedState) => Promise<void>;
}

/** Errors, on every verb: those of the disk and the database, and the signal's reason. */
export interface Snapshots {
  /** Reports its progress; its result is the last word. */
  take(signal: AbortSignal): AsyncGenerator<Progress, Snapshot>;
  /** Newest first. */
  list(): Promise<readonly Snapshot[]>;
  /** Errors: `not_found`; `data_loss` with reason `snapshot_damaged`, and then nothing is changed. */
  restore(name: string, signal: AbortSignal): AsyncGenerator<Progress>;
  /** Errors: `not_found`. */
  delete(name: string): Promise<void>;
}

const ending = '.index';
const namePattern = /^\d{8}T\d{9}Z-[0-9a-f]{4}$/;
/** Places of inodes in rows, which may be larger than numbers hold exactly. */
const inodeAt = { folders: 8, files: 5 } as const;
const restoreTimeoutMs = 3_600_000;

export function createSnapshots({ database, folder, kept, now, head, onRestored }: SnapshotParts): Snapshots {
  const fileOf = (name: string): string => join(folder, `${name}${ending}`);

  async function describe(name: string): Promise<Snapshot> {
    const fileBytes = (await stat(fileOf(name))).size;
    try {
      const { createdMs, files, folders, sizeBytes, position } = (await readSnapshotHeader(fileOf(name))).header;
      return { name, fileBytes, createdMs, files, folders, sizeBytes, position, problem: '' };
    } catch (error) {
      const problem = Fault.from(error).message;
      return { name, fileBytes, createdMs: 0, files: 0, folders: 0, sizeBytes: 0, position: 0, problem };
    }
  }

  async function names(): Promise<string[]> {
    const files = await readdir(folder).catch(noFolder);
    const all = files.filter((file) => file.endsWith(ending)).map((file) => file.slice(0, -ending.length));
    return all.filter((name) => namePattern.test(name)).sort((a, b) => (a < b ? 1 : -1));
  }

  async function assertThere(name: string): Promise<void> {
    if (!(await names()).includes(name))
      throw notFound(`There is no snapshot ${JSON.stringify(name)}`, { reason: 'snapshot_missing' });
  }

  return {
    async *take(signal) {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const createdMs = now();
      const name = `${new Date(createdMs).toISOString().replace(/[-:.]/g, '')}-${randomBytes(2).toString('hex')}`;
      const partial = `${fileOf(name)}.partial`;
      const position = await head(signal);
      try {
        yield* relay<Progress>((tell) =>
          database.frozen(async (reads) => {
            const sql = readerOf(reads);
            const state = await dumpState(sql);
            const header: SnapshotHeader = { format: 'cellar-index', version: 1, createdMs, ...state, position };
            const rows = counted(dumpRows(sql), state.files + state.folders, tell, signal);
            await writeSnapshotFile(partial, header, toLines(rows));
          }),
        );
        await rename(partial, fileOf(name));
        await syncFolder(folder);
      } finally {
        await rm(partial, { force: true });
      }
      for (const old of (await names()).slice(kept)) await rm(fileOf(old), { force: true });
      return describe(name);
    },
    async list() {
      return Promise.all((await names()).map(describe));
    },
    async *restore(name, signal) {
      await assertThere(name);
      const { header } = await readSnapshotHeader(fileOf(name));
      // All of it is looked at before anything is changed.
      for await (const _ of readSnapshotLines(fileOf(name))) if (signal.aborted) throw Fault.from(signal.reason);
      yield* relay<Progress>((tell) =>
        database.transaction(
          async (tx) => {
            const rows = fromLines(readSnapshotLines(fileOf(name)));
            await loadDump(tx, header, counted(rows, header.files + header.folders, tell, signal));
            await onRestored(tx, header);
          },
          { signal, timeoutMs: restoreTimeoutMs },
        ),
      );
    },
    async delete(name) {
      await assertThere(name);
      await rm(fileOf(name), { force: true });
    },
  };
}

/** Tells how many rows have passed. Errors: the signal's reason. */
async function* counted(
  pieces: AsyncIterable<Dumped>,
  total: number,
  tell: (progress: Progress) => void,
  signal: AbortSignal,
): AsyncGenerator<Dumped> {
  let done = 0;
  for await (const piece of pieces) {
    if (signal.aborted) throw Fault.from(signal.reason);
    yield piece;
    done += piece.rows.length;
    tell({ done, total });
  }
}

async function* toLines(dump: AsyncIterable<Dumped>): AsyncGenerator<string> {
  for await (const { table, rows } of dump) {
    const at = inodeAt[table];
    const plain = rows.map((row) => (typeof row[at] === 'bigint' ? row.with(at, String(row[at])) : row));
    yield JSON.stringify({ table, rows: plain });
  }
}

async function* fromLines(lines: AsyncIterable<string>): AsyncGenerator<Dumped> {
  for await (const line of lines) {
    const { table, rows } = JSON.parse(line) as Dumped;
    const at = inodeAt[table];
    yield { table, rows: rows.map((row) => (typeof row[at] === 'string' ? row.with(at, BigInt(row[at])) : row)) } as Dumped;
  }
}

function noFolder(error: unknown): string[] {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
  throw error;
}
