import { once } from 'node:events';
import { mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { openKeyRing } from '#data/objects/encryption/key-ring.ts';
import { createSealing } from '#data/objects/encryption/sealing.ts';
import type { Change } from '#data/objects/logic/change.ts';
import { createFolderBackend, type LocalBackend } from '#data/objects/logic/folder-backend.ts';
import { migrations } from '#data/objects/store/migrations.ts';
import { createSqlObjectStore } from '#data/objects/store/sql.ts';
import { migrate } from '#kernel/database/migrations.ts';
import { openDatabase } from '#kernel/database/open.ts';
import { permissionDenied } from '#kernel/fault.ts';
import { silentLog } from '#kernel/log.ts';
import type { S3Limits } from '../call.ts';
import { createS3Handler } from '../handler.ts';
import type { OperationName } from '../operation-names.ts';
import { createS3Client, type S3Client } from './client.ts';

export interface TestS3 {
  readonly client: S3Client;
  readonly endpoint: string;
  /** The folder of bucket `photos`. */
  readonly folder: string;
  readonly backend: LocalBackend;
  readonly changes: readonly Change[];
}

export interface TestS3Options {
  readonly limits?: Partial<S3Limits>;
  readonly now?: () => number;
  /** True for what the caller may not do. */
  readonly isDenied?: (operation: OperationName, bucket: string | undefined, key: string | undefined) => boolean;
  readonly partSizeBytesMin?: number;
}

/** A server on a free port with two declared buckets, `photos` and `other`, in a temporary folder where more can be made; ended after the test. */
export async function startTestS3(t: Pick<TestContext, 'after'>, options: TestS3Options = {}): Promise<TestS3> {
  const { limits = {}, now = Date.now, isDenied = () => false, partSizeBytesMin } = options;
  const parent = realpathSync(mkdtempSync(join(tmpdir(), 'cellar-s3-')));
  const keys = mkdtempSync(join(tmpdir(), 'cellar-s3-keys-'));
  for (const name of ['photos', 'other']) mkdirSync(join(parent, name));
  const database = openDatabase({ url: 'sqlite::memory:', name: 'test', log: silentLog });
  await migrate(database, migrations);
  const changes: Change[] = [];
  const backend = createFolderBackend({
    parent,
    folders: ['photos', 'other'].map((name) => ({ bucket: name, folder: name })),
    hasMore: true,
    store: createSqlObjectStore(database),
    coding: createSealing(
      await openKeyRing({ path: join(keys, 'keys.json'), kmsKeys: ['testkey-1', 'testkey-2'], keyAgeMsMax: 0, now }),
    ),
    record: async (change) => void changes.push(change),
    ...(partSizeBytesMin === undefined ? {} : { partSizeBytesMin }),
  });
  const credentials = { accessKey: 'AKTEST', secretKey: 'secret+/=', region: 'us-east-1' };
  const handler = createS3Handler<string>({
    backend,
    authenticate: async (accessKey) =>
      accessKey === credentials.accessKey ? { secret: credentials.secretKey, caller: 'alice' } : undefined,
    user: (name) => ({ id: name, displayName: name }),
    verdict: (_caller, operation, bucket, key) =>
      isDenied(operation, bucket, key) ? { kind: 'forbidden', fault: permissionDenied('Access Denied') } : { kind: 'allowed' },
    log: silentLog,
    now,
    limits,
  });
  const server = createServer(handler).on('checkContinue', handler).on('checkExpectation', handler).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  t.after(async () => {
    server.close();
    server.closeAllConnections();
    await database.close();
    for (const folder of [parent, keys]) rmSync(folder, { recursive: true, force: true });
  });
  return { client: createS3Client(endpoint, credentials), endpoint, folder: join(parent, 'photos'), backend, changes };
}
