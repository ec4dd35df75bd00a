import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { crashable } from '#data/objects/testing/faulty-fs.ts';
import { migrate } from '#kernel/database/migrations.ts';
import { sqliteFactory } from '#kernel/testing/databases.ts';
import type { ObjectBody } from '#s3/backend.ts';
import { storedBody } from '#s3/stored-body.ts';
import type { Change } from '../logic/change.ts';
import { createFolderBackend, type FolderBackendOptions, type LocalBackend } from '../logic/folder-backend.ts';
import { migrations } from '../store/migrations.ts';
import { rememberRows } from '../store/remember-rows.ts';
import { createSqlObjectStore } from '../store/sql.ts';
import type { ObjectStore } from '../store/store.ts';

export interface StartedBackend {
  readonly parent: string;
  /** Of the declared bucket `bucket`. */
  readonly folder: string;
  readonly backend: LocalBackend;
  readonly store: ObjectStore;
  readonly changes: Change[];
  /** A new backend over the same, as after a restart. */
  again(): Promise<LocalBackend>;
}

/** Nothing here loses power, so nothing has to wait for a disk. */
const inMemory = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

/** A backend with one declared bucket, `bucket`, where others can be made too. Its store and file system can be made to fail. */
export async function startBackend(t: TestContext, options: Partial<FolderBackendOptions> = {}): Promise<StartedBackend> {
  const parent = realpathSync(mkdtempSync(join(inMemory, 'cellar-objects-')));
  t.after(() => rmSync(parent, { recursive: true, force: true }));
  mkdirSync(join(parent, 'b'));
  const database = await sqliteFactory.open(t, { url: 'sqlite::memory:' });
  await migrate(database, migrations);
  const store = crashable(rememberRows(createSqlObjectStore(database)));
  const changes: Change[] = [];
  const again = async (): Promise<LocalBackend> => {
    const folders = [{ bucket: 'bucket', folder: 'b' }];
    const record = async (change: Change): Promise<void> => void changes.push(change);
    const backend = createFolderBackend({ parent, folders, hasMore: true, store, record, ...options });
    await backend.sweep();
    return backend;
  };
  return { parent, folder: join(parent, 'b'), backend: await again(), store, changes, again };
}

/** A text as the body of a write. */
export function textBody(text: string): ObjectBody {
  const info = { key: '', sizeBytes: Buffer.byteLength(text), mtimeMs: 0, etag: '', headers: {}, checksums: {} };
  return storedBody({ info, range: undefined, body: Buffer.from(text) });
}
