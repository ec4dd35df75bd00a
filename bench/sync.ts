import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Product, startProduct, waitUntil } from '../acceptance/harness.ts';
import { type Claim, isQuick, median, quantile, report } from './report.ts';

/*
 * How fast sync takes in a folder, and how fast it sees that nothing or something has changed there: the platform runs as users run it, with a
 * process for each service. `find` reads the same tree right before each pass.
 */
const total = Number(process.env['BENCH_FILES'] ?? (isQuick ? 100_000 : 1_000_000));
const perFolder = 1000;
const deepShare = 0.1;
const runs = isQuick ? 3 : 5;
const singles = isQuick ? 50 : 300;
const burst = isQuick ? 5000 : 20_000;
const patienceMs = 1_800_000;

interface Status {
  readonly files?: string;
  readonly state?: string;
  readonly lastFullPassMs?: string;
}

interface Progress {
  readonly seen: string;
  readonly rate: number;
}

const rows: (string | number)[][] = [];
const claims: Claim[] = [];
const note = (what: string, value: number, unit: string): void => {
  rows.push([what, value, unit]);
  console.log(`${what}: ${Math.round(value * 100) / 100} ${unit}`);
};

/** Nine in ten files in folders of 1,000; the others in a tree ten folders deep. */
function makeTree(root: string): void {
  const flat = total * (1 - deepShare);
  for (let folder = 0; folder * perFolder < flat; folder++) makeFiles(join(root, `folder-${folder}`), perFolder);
  const deepFolders = Math.ceil((total - flat) / 100);
  for (let folder = 0; folder < deepFolders; folder++) {
    const names = Array.from({ length: 10 }, (_, level) => `level-${(folder >> (9 - level)) & 1 ? 'b' : 'a'}`);
    makeFiles(join(root, 'deep', ...names, String(folder)), 100);
  }
}

function makeFiles(folder: string, count: number): void {
  mkdirSync(folder, { recursive: true });
  for (let at = 0; at < count; at++) closeSync(openSync(join(folder, `file-number-${at}.txt`), 'w'));
}

async function status(product: Product, name: string): Promise<Status> {
  const answer = await product.rest('GET', `/api/v1/datasources/${name}`);
  if (!answer.ok) throw new Error(`The state of ${name} was answered ${answer.status}: ${await answer.text()}`);
  return ((await answer.json()) as { sync?: Status }).sync ?? {};
}

async function pidsOf(product: Product): Promise<Map<string, number>> {
  const answer = await product.rest('GET', '/api/v1/services');
  const { services } = (await answer.json()) as { services: readonly { name: string; pid: number }[] };
  return new Map(services.filter(({ name }) => /data\.(sync|index)\./.test(name)).map(({ name, pid }) => [name, pid]));
}

/** Memory that is a process's own or its part of what is shared. Source: proc(5), `smaps_rollup`. Unit: MiB. */
function memoryMib(pid: number): number {
  return Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? Number.NaN) / 1024;
}

/** The most that each process has while a task runs. */
async function peaks(pids: ReadonlyMap<string, number>, task: () => Promise<unknown>): Promise<Map<string, number>> {
  const most = new Map<string, number>();
  let isRunning = true;
  const watching = (async () => {
    while (isRunning) {
      for (const [name, pid] of pids) most.set(name, Math.max(most.get(name) ?? 0, memoryMib(pid)));
      await sleep(250);
    }
  })();
  try {
    await task();
  } finally {
    isRunning = false;
    await watching;
  }
  return most;
}

function findMs(root: string): number {
  const startMs = performance.now();
  execFileSync('sh', ['-c', 'find "$1" -printf "%s %T@\\n" > /dev/null', 'sh', root]);
  return performance.now() - startMs;
}

/** How long the comparison itself took, as sync has measured it. Unit: milliseconds. */
async function passMs(product: Product): Promise<number> {
  const { stdout, stderr, exitCode } = await product.cliWith({ timeoutMs: patienceMs }, 'datasource', 'resync', 'big', '--json');
  if (exitCode !== 0) throw new Error(`resync ended with ${exitCode}: ${stderr}`);
  const { seen, rate } = JSON.parse(stdout) as Progress;
  return (Number(seen) / rate) * 1000;
}

const folder = mkdtempSync(join(tmpdir(), 'cellar-bench-sync-'));
try {
  const [big, small] = [join(folder, 'big'), join(folder, 'small')];
  for (const path of [big, small]) mkdirSync(path);
  await using product = await startProduct({ datasources: ['big', 'small'], folders: { big, small } });
  await waitUntil(async () => (await status(product, 'small')).lastFullPassMs !== undefined, patienceMs);
  await sleep(2000);
  const idle = new Map([...(await pidsOf(product))].map(([name, pid]) => [name, memoryMib(pid)]));
  await product.stop();

  const makeMs = performance.now();
  makeTree(big);
  note(`making ${total} files`, performance.now() - makeMs, 'ms');
  findMs(big);
  await product.start();
  const pids = await pidsOf(product);
  const over = (most: ReadonlyMap<string, number>, name: string): number => (most.get(name) ?? 0) - (idle.get(name) ?? 0);

  const first = await peaks(pids, () =>
    waitUntil(
      async () => (await status(product, 'big')).lastFullPassMs !== undefined,
      patienceMs,
      () => product.logs(),
    ),
  );
  const firstMs = Number((await status(product, 'big')).lastFullPassMs);
  note('first pass', firstMs, 'ms');
  note('first pass', total / (firstMs / 1000), 'files/s');
  for (const kind of ['sync', 'index']) note(`first pass, ${kind} over idle`, over(first, `cellar.grpc.data.${kind}.big`), 'MiB');

  const finds: number[] = [];
  const passes: number[] = [];
  const most = await peaks(pids, async () => {
    for (let run = 0; run < runs; run++) {
      finds.push(findMs(big));
      passes.push(await passMs(product));
    }
  });
  note('find, nothing changed', median(finds), 'ms');
  note('full pass, nothing changed', median(passes), 'ms');
  const ratio = median(finds.map((ms, at) => ms / (passes[at] ?? Number.NaN)));
  for (const kind of ['sync', 'index']) note(`full passes, ${kind} over idle`, over(most, `cellar.grpc.data.${kind}.big`), 'MiB');

  const latencies: number[] = [];
  for (let at = 0; at < singles; at++) {
    const startMs = performance.now();
    writeFileSync(join(small, `single-${at}`), 'x');
    await waitUntil(async () => (await product.rest('GET', `/api/v1/tree/small/single-${at}`)).ok, 10_000);
    latencies.push(performance.now() - startMs);
  }
  note('one file by another program, p50', quantile(latencies, 0.5), 'ms');
  note('one file by another program, p99', quantile(latencies, 0.99), 'ms');

  const burstMs = performance.now();
  makeFiles(join(small, 'burst'), burst);
  const madeMs = performance.now() - burstMs;
  await waitUntil(async () => Number((await status(product, 'small')).files) === singles + burst, 120_000);
  note(`burst of ${burst}, made in`, madeMs, 'ms');
  note(`burst of ${burst}, all in the index`, performance.now() - burstMs, 'ms');
  // Passes that were asked for meanwhile tell nothing twice either.
  await product.cli('datasource', 'resync', 'small');
  const database = new DatabaseSync(join(product.home, 'db', 'cellar.grpc.data.index.small.db'), { readOnly: true });
  const told = database
    .prepare(
      `select count(*) as events, count(distinct key) as paths from stream_nodes where type = 'node.created' and key like 'burst/%'`,
    )
    .get() as { events: number; paths: number };
  database.close();

  claims.push(
    { what: `full pass over ${total} unchanged files, beside find`, target: '>= 0.3x', measured: ratio, holds: ratio >= 0.3 },
    ...['sync', 'index'].map((kind) => {
      const measured = over(most, `cellar.grpc.data.${kind}.big`);
      return { what: `full passes, memory of ${kind} over idle, MiB`, target: '< 100', measured, holds: measured < 100 };
    }),
    {
      ...{ what: 'one file by another program, p99, ms', target: '< 1000' },
      ...{ measured: quantile(latencies, 0.99), holds: quantile(latencies, 0.99) < 1000 },
    },
    {
      ...{ what: `burst of ${burst}: files told, and told twice`, target: `${burst}, 0` },
      ...{ measured: `${told.paths}, ${told.events - told.paths}`, holds: told.paths === burst && told.events === burst },
    },
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}
report('sync', { columns: ['what', 'measured', 'unit'], rows, claims });
