/**
 * A backend in a process of its own, to be cut off: `node power.fixture.ts FOLDER BUCKET...`, with the buckets and the database in FOLDER. Takes
 * a request a line, `{"at", "bucket", "command"}`, where no command asks for all contents, and prints `{"at", "answer"}` or `{"at", "error"}`
 * for each, and `{"at": -1}` first.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { migrate } from '#kernel/database/migrations.ts';
import { openDatabase } from '#kernel/database/open.ts';
import { silentLog } from '#kernel/log.ts';
import { openStream } from '#kernel/streams/sql-stream.ts';
import { createFolderBackend } from '../logic/folder-backend.ts';
import { objects } from '../main.ts';
import { changeEvent } from '../rpc/change-event.ts';
import { migrations } from '../store/migrations.ts';
import { rememberRows } from '../store/remember-rows.ts';
import { createSqlObjectStore } from '../store/sql.ts';
import { type Command, contentsOf, send } from './commands.ts';

const [folder = '', ...buckets] = process.argv.slice(2);
const parent = join(folder, 'buckets');
for (const bucket of buckets) mkdirSync(join(parent, bucket), { recursive: true });
const url = `sqlite:${join(folder, 'home/objects.db')}`;
const database = openDatabase({ url, name: 'objects', log: silentLog, durable: objects.isDurable ?? false });
await migrate(database, migrations);
const stream = await openStream({ database, name: 'changes' });
// Every look at the clock is later than the one before: uploads have an order.
let nowMs = Date.now();
const backend = createFolderBackend({
  now: () => ++nowMs,
  parent,
  folders: buckets.map((bucket) => ({ bucket, folder: bucket })),
  store: rememberRows(createSqlObjectStore(database)),
  record: async (change) => void (await database.transaction((tx) => stream.append(tx, [changeEvent(change)]), { group: true })),
  partSizeBytesMin: 5,
});
await backend.sweep();
const say = (line: unknown): void => void process.stdout.write(`${JSON.stringify(line)}\n`);
say({ at: -1 });
for await (const line of createInterface(process.stdin)) {
  const { at, bucket, command } = JSON.parse(line) as { at: number; bucket: string; command?: Command };
  const asked = command ? send(backend, bucket, command) : contentsOf(backend, bucket, true);
  asked.then(
    (answer) => say({ at, answer }),
    (error: unknown) => say({ at, error: String(error) }),
  );
}
process.exit();
