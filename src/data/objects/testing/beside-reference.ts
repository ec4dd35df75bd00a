import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { crashable, runFaulty } from '#data/objects/testing/faulty-fs.ts';
import { migrate } from '#kernel/database/migrations.ts';
import { sqliteFactory } from '#kernel/testing/databases.ts';
import { installation } from '#s3/bucket-settings.ts';
import { createMemoryBackend } from '#s3/testing/memory-backend.ts';
import { createFolderBackend, type FolderBackend } from '../logic/folder-backend.ts';
import { migrations } from '../store/migrations.ts';
import { rememberRows } from '../store/remember-rows.ts';
import { createSqlObjectStore } from '../store/sql.ts';
import { type Command, type Completion, completionOf, contentsOf, isReading, type Step, send } from './commands.ts';

/** A bucket of the folder backend that is asked the same as the reference, and has to say the same. */
export interface BesideReference {
  /** Sends a request that cannot fail; nothing is compared. */
  prepare(command: Command): Promise<void>;
  /**
   * Takes a step and compares everything. What its sender was not told to be done may have happened as a whole or not at all.
   * True when the request got as far as to its fault.
   */
  take(step: Step): Promise<boolean>;
}

export interface BesideOptions {
  /** False: listings of versions are left out. */
  readonly hasVersions: boolean;
  /** An empty folder for the buckets; default: one in memory. */
  readonly parent?: string;
}

/** Nothing here loses power, so nothing has to wait for a disk. */
const inMemory = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
const partSizeBytesMin = 5;

/** Makes new buckets over one database. */
export async function besideReference(t: TestContext, options: BesideOptions): Promise<() => Promise<BesideReference>> {
  const { hasVersions, parent = temporaryParent(t) } = options;
  const database = await sqliteFactory.open(t, { url: 'sqlite::memory:' });
  await migrate(database, migrations);
  let count = 0;
  // Every look at the clock is later than the one before: uploads have an order.
  let nowMs = Date.now();

  return async () => {
    const bucket = `bucket-${++count}`;
    const folder = join(parent, bucket);
    mkdirSync(folder);
    const done: Command[] = [];
    /** True while something may lie about since even tidying up has failed; until the next start. */
    let mayLeave = false;
    let backend = await start();

    /** A new backend over what the earlier one left, as after a restart. */
    async function start(): Promise<FolderBackend> {
      const store = crashable(rememberRows(createSqlObjectStore(database)));
      const { record } = crashable({ record: async () => undefined });
      const folders = [{ bucket, folder: bucket }];
      const started = createFolderBackend({ parent, folders, store, record, partSizeBytesMin, now: () => ++nowMs });
      await started.sweep();
      mayLeave = false;
      return started;
    }

    /** What the last of these requests is answered, and what there is after. */
    async function reference(commands: readonly Command[]) {
      const model = createMemoryBackend({ partSizeBytesMin });
      await model.createBucket(bucket, { owner: installation });
      let answer: unknown;
      for (const command of commands) answer = await send(model, bucket, command);
      return { answer, contents: await contentsOf(model, bucket, hasVersions) };
    }

    const contents = () => contentsOf(backend, bucket, hasVersions);

    /** Of a request whose sender was told of a failure, or nothing. */
    async function settle(command: Command, completion: Completion | undefined): Promise<void> {
      const [found, before, after] = [await contents(), await reference(done), await reference([...done, command])];
      if (isDeepStrictEqual(found, after.contents)) done.push(command);
      else if (completion && isDeepStrictEqual({ ...found, uploads: after.contents.uploads }, after.contents)) {
        // The object is there and the upload, or some of it, still is: asked again, it is completed, and not twice.
        await backend.completeUpload(completion.upload, completion.parts);
        assert.deepEqual(await contents(), after.contents);
        done.push(command);
      } else assert.deepEqual(found, before.contents, 'a failed request was done in part');
    }

    return {
      async prepare(command) {
        await send(backend, bucket, command);
        done.push(command);
      },
      async take(step) {
        if (step === 'restart') {
          backend = await start();
          return false;
        }
        const { command, fault = { kind: 'short', at: Number.POSITIVE_INFINITY } } = step;
        const completion = command.verb === 'complete' ? await completionOf(backend, bucket, command.upload) : undefined;
        const { result, isStruck } = await runFaulty(fault, () => send(backend, bucket, command));
        if (!isStruck && result.status === 'rejected') throw result.reason;
        if (isStruck && fault.kind === 'crash') backend = await start();
        else if (isStruck) mayLeave = true;
        if (isStruck) removeEmptyFolders(folder, new Set((await contents()).keys));
        if (result.status === 'fulfilled' && (!isStruck || !isRefusal(result.value))) {
          const { answer, contents: wanted } = await reference([...done, command]);
          assert.deepEqual(result.value, answer);
          assert.deepEqual(await contents(), wanted);
          if (!isReading(command)) done.push(command);
        } else await settle(command, completion);
        if (!mayLeave) assert.deepEqual(leftovers(folder), []);
        return isStruck;
      },
    };
  };
}

function temporaryParent(t: TestContext): string {
  const parent = realpathSync(mkdtempSync(join(inMemory, 'cellar-model-')));
  t.after(() => rmSync(parent, { recursive: true, force: true }));
  return parent;
}

const isRefusal = (answer: unknown): boolean => typeof answer === 'object' && answer !== null && 'refused' in answer;

/** Folders that a failed write made on its way may stay. They are no objects, but listings that group keys do not look into them. */
function removeEmptyFolders(root: string, keys: ReadonlySet<string>, below = ''): void {
  for (const entry of readdirSync(join(root, below), { withFileTypes: true })) {
    const path = `${below}${entry.name}/`;
    if (!entry.isDirectory() || path === '.cellar/') continue;
    removeEmptyFolders(root, keys, path);
    if (!keys.has(path) && readdirSync(join(root, path)).length === 0) rmdirSync(join(root, path));
  }
}

/** Files of writes that have ended. */
function leftovers(folder: string): readonly string[] {
  const path = join(folder, '.cellar/tmp');
  return existsSync(path) ? readdirSync(path) : [];
}
