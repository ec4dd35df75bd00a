import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, lstatSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { createFolderBackend, type FolderBackend } from '../src/data/objects/logic/folder-backend.ts';
import { stampOf } from '../src/data/objects/logic/stamp.ts';
import { changeEvent } from '../src/data/objects/rpc/change-event.ts';
import { migrations } from '../src/data/objects/store/migrations.ts';
import { rememberRows } from '../src/data/objects/store/remember-rows.ts';
import { createSqlObjectStore } from '../src/data/objects/store/sql.ts';
import type { ObjectStore } from '../src/data/objects/store/store.ts';
import type { Database } from '../src/kernel/database/database.ts';
import { migrate } from '../src/kernel/database/migrations.ts';
import { openDatabase } from '../src/kernel/database/open.ts';
import { silentLog } from '../src/kernel/log.ts';
import { openStream } from '../src/kernel/streams/sql-stream.ts';
import { cpuUsOf } from './s3-servers.ts';

export const benchCredentials = { accessKey: 'AKBENCH', secretKey: 'bench', region: 'us-east-1' };

/** The objects of a parent folder as the service has them: rows in a database and changes in its stream. */
export async function openObjects(
  parent: string,
  url: string,
): Promise<{ readonly backend: FolderBackend; readonly store: ObjectStore; readonly database: Database }> {
  const database = openDatabase({ url, name: 'objects', log: silentLog, durable: true });
  await migrate(database, migrations);
  const stream = await openStream({ database, name: 'changes' });
  const store = rememberRows(createSqlObjectStore(database));
  const backend = createFolderBackend({
    ...{ parent, folders: [], hasMore: true, store },
    record: async (change) => {
      const event = changeEvent(change);
      await database.transaction((tx) => stream.append(tx, [event]), { group: true });
    },
  });
  return { backend, store, database };
}

/** Makes files with the rows of objects that were written over S3; `keys` come folder by folder. */
export async function makeObjects(parent: string, bucket: string, store: ObjectStore, keys: Iterable<string>): Promise<void> {
  const known = new Set<string>();
  let batch: Parameters<ObjectStore['write']>[1][number][] = [];
  for (const key of keys) {
    const path = join(parent, bucket, key);
    const folder = path.slice(0, path.lastIndexOf('/'));
    if (!known.has(folder)) mkdirSync(folder, { recursive: true });
    known.add(folder);
    closeSync(openSync(path, 'w'));
    const row = {
      ...{ key, stamp: stampOf(lstatSync(path, { bigint: true })), kind: 'object' as const },
      ...{
        etag: 'd41d8cd98f00b204e9800998ecf8427e',
        headers: { contentType: 'text/plain' },
        checksums: { crc64nvme: 'AAAAAAAAAAA=' },
      },
    };
    batch.push({ kind: 'put', row });
    if (batch.length === 2_000) {
      await store.write(bucket, batch);
      batch = [];
    }
  }
  await store.write(bucket, batch);
}

export interface ObjectsServer {
  readonly port: number;
  /** Processor time used so far, all threads. Unit: microseconds. */
  cpuUs(): number;
  stop(): Promise<void>;
}

/** A server over the same in a process of its own. */
export async function startObjectsServer(parent: string, url: string): Promise<ObjectsServer> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'objects-server.ts'), parent, url], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const [line] = (await once(child.stdout.setEncoding('utf8'), 'data')) as [string];
  const { port } = JSON.parse(line) as { port: number };
  return {
    port,
    cpuUs: () => cpuUsOf(child.pid),
    async stop() {
      const exited = once(child, 'exit');
      child.stdin.end();
      await exited;
    },
  };
}
