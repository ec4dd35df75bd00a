import fs, { closeSync, mkdirSync, mkdtempSync, openSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { storedBody } from '../src/s3/stored-body.ts';
import { openObjects } from './objects-parts.ts';
import { isQuick, median, quantile, report } from './report.ts';

/*
 * Small objects written and read by 32 clients in one process, by the backend alone; beside it what a program does that only writes a file,
 * syncs it, renames it and syncs the folder, and one that only opens, looks and reads. The two take turns.
 */
const clients = 32;
const sizeBytes = 4096;
const seconds = isQuick ? 1.5 : 5;
const rounds = isQuick ? 2 : 5;

const parent = realpathSync(mkdtempSync(join(tmpdir(), 'cellar-put-')));
const buckets = join(parent, 'buckets');
for (const name of ['plain', 'versioned']) mkdirSync(join(buckets, name), { recursive: true });
mkdirSync(join(parent, 'bare/tmp'), { recursive: true });
const { backend, database } = await openObjects(buckets, `sqlite:${join(parent, 'objects.db')}`);
await backend.changeBucketSettings('versioned', (settings) => ({ ...settings, versioning: 'Enabled' }));
const bytes = Buffer.alloc(sizeBytes, 'x');

const calls = {
  open: promisify(fs.open),
  write: promisify(fs.write),
  fdatasync: promisify(fs.fdatasync),
  fsync: promisify(fs.fsync),
  rename: promisify(fs.rename),
};
const bareFolder = openSync(join(parent, 'bare'), 'r');

/** What nobody can leave out. */
async function bareWrite(name: string): Promise<void> {
  const temporary = join(parent, 'bare/tmp', name);
  const fd = await calls.open(temporary, 'wx');
  await calls.write(fd, bytes, 0, sizeBytes, null);
  await calls.fdatasync(fd);
  closeSync(fd);
  await calls.rename(temporary, join(parent, 'bare', name));
  await calls.fsync(bareFolder);
}

function bareRead(name: string): void {
  const fd = openSync(join(buckets, 'plain', name), 'r');
  fs.fstatSync(fd, { bigint: true });
  fs.readSync(fd, Buffer.allocUnsafe(sizeBytes), 0, sizeBytes, 0);
  closeSync(fd);
}

let serial = 0;
const bodyOf = () =>
  storedBody({ info: { key: '', sizeBytes, mtimeMs: 0, etag: '', headers: {}, checksums: {} }, range: undefined, body: bytes });
const put = async (bucket: string, key: string): Promise<void> => {
  await backend.put({ bucket, key }, bodyOf(), { headers: { contentType: 'text/plain' } });
};

const keys = Array.from({ length: 1000 }, (_, index) => `read-${index}`);
for (let at = 0; at < keys.length; at += clients) await Promise.all(keys.slice(at, at + clients).map((key) => put('plain', key)));

const cases: Readonly<Record<string, () => Promise<unknown> | unknown>> = {
  'write, sync, rename, sync the folder': () => bareWrite(`file-${serial++}`),
  'PUT of new keys': () => put('plain', `file-${serial++}`),
  'PUT over the same 1 000 keys': () => put('plain', `again-${serial++ % 1000}`),
  'PUT over the same 1 000 keys, versioned': () => put('versioned', `again-${serial++ % 1000}`),
  'open, look, read': () => bareRead(keys[serial++ % 1000] ?? ''),
  GET: () => backend.get({ bucket: 'plain', key: keys[serial++ % 1000] ?? '' }, () => undefined),
};

interface Result {
  readonly perSecond: number;
  readonly p99Ms: number;
  readonly cpuUs: number;
}

async function run(task: () => Promise<unknown> | unknown): Promise<Result> {
  const times: number[] = [];
  const cpu = process.cpuUsage();
  const endMs = performance.now() + seconds * 1000;
  const startMs = performance.now();
  await Promise.all(
    Array.from({ length: clients }, async () => {
      while (performance.now() < endMs) {
        const beganMs = performance.now();
        await task();
        times.push(performance.now() - beganMs);
        if (times.length % 64 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
    }),
  );
  const { user, system } = process.cpuUsage(cpu);
  const elapsedMs = performance.now() - startMs;
  return {
    perSecond: times.length / (elapsedMs / 1000),
    p99Ms: quantile(times, 0.99),
    cpuUs: (user + system) / times.length,
  };
}

const results = new Map<string, Result[]>();
for (let round = 0; round < rounds; round++) {
  for (const [name, task] of Object.entries(cases)) results.set(name, [...(results.get(name) ?? []), await run(task)]);
}
await database.close();
closeSync(bareFolder);
rmSync(parent, { recursive: true, force: true });

const middle = (name: string, of: (result: Result) => number): number => median((results.get(name) ?? []).map(of));
const rate = (name: string): number => Math.round(middle(name, ({ perSecond }) => perSecond));
const bare = rate('write, sync, rename, sync the folder');
const share = rate('PUT of new keys') / bare;
report('s3-put', {
  columns: ['4 KiB, 32 clients', 'a second', 'p99, ms', 'processor time, us'],
  rows: Object.keys(cases).map((name) => [
    name,
    rate(name),
    Math.round(middle(name, ({ p99Ms }) => p99Ms) * 100) / 100,
    Math.round(middle(name, ({ cpuUs }) => cpuUs)),
  ]),
  claims: [
    {
      what: 'durable PUT beside a bare loop',
      target: '>= 60 %',
      measured: `${Math.round(share * 100)} %`,
      holds: share >= 0.6,
    },
  ],
});
