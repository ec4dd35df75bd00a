/** How fast the index of a datasource is, in its store and through its contract, on SQLite and beside it on PostgreSQL. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { index } from '../src/data/index/main.ts';
import { migrations } from '../src/data/index/store/migrations.ts';
import { createTreeStore } from '../src/data/index/store/sql.ts';
import type { StoredNode, TreeChange, TreeStore } from '../src/data/index/store/store.ts';
import { Change_Kind, Index } from '../src/gen/cellar/data/v1/index_pb.ts';
import { serviceCaller } from '../src/kernel/calls/caller.ts';
import type { Database } from '../src/kernel/database/database.ts';
import { migrate } from '../src/kernel/database/migrations.ts';
import { openDatabase } from '../src/kernel/database/open.ts';
import { silentLog } from '../src/kernel/log.ts';
import { postgresMissing, startPostgres } from '../src/kernel/testing/engines.ts';
import { startTestPlatform } from '../src/kernel/testing/platform.ts';
import { folderBatches, temporaryDatabase, timed, treeBatches } from './index-trees.ts';
import { type Cell, isQuick, median, report } from './report.ts';

const small = isQuick ? 20_000 : 100_000;
const middle = isQuick ? 100_000 : 1_000_000;
const large = isQuick ? 200_000 : 5_000_000;
const moved = isQuick ? 20_000 : 100_000;
const postgresNodes = isQuick ? 20_000 : 200_000;
/** Changes of one call, as sync sends them. */
const batch = 1000;

interface Measured {
  readonly ingest: number;
  readonly listMs: number;
  readonly listBySizeMs: number;
  readonly lookupUs: number;
  readonly scan: number;
  readonly totalsMs: number;
  readonly memoryMib: number;
}

async function open(database: Database): Promise<TreeStore> {
  await migrate(database, migrations);
  const store = createTreeStore(database);
  await store.prepare('bench');
  return store;
}

async function ingest(database: Database, store: TreeStore, batches: Iterable<TreeChange[]>): Promise<number> {
  let count = 0;
  let ms = 0;
  for (const changes of batches) {
    ms += await timed(() => store.apply(database, changes));
    count += changes.length;
  }
  return (count / ms) * 1000;
}

async function listMs(store: TreeStore, path: string, order: 'name' | 'size', runs: number): Promise<number> {
  const folder = (await store.find(path)) as StoredNode;
  const took: number[] = [];
  let after: { value: number; name: string } | undefined;
  for (let run = 0; run < runs; run++) {
    took.push(
      await timed(async () => {
        const page = await store.list(folder, { order, isDescending: false, after, limit: 1000 });
        const last = page.at(-1);
        after = last && { value: order === 'size' ? last.sizeBytes : 0, name: last.path.slice(path.length + 1) };
      }),
    );
  }
  return median(took);
}

async function measure(database: Database, nodes: number): Promise<Measured> {
  const store = await open(database);
  // The first batch warms up the code.
  await store.apply(database, [...treeBatches(batch, batch, 'warm/')][0] as TreeChange[]);
  const rate = await ingest(database, store, treeBatches(nodes, batch));
  const memoryMib = process.memoryUsage().rss / 2 ** 20;
  await ingest(database, store, folderBatches(nodes, batch, 'one'));
  const deep = 'a/b/c/d/e/f/g/h/i/j';
  await store.apply(database, [
    { kind: 'put', path: deep, entry: { isFolder: false, sizeBytes: 1, mtimeUs: 1, inode: 1, etag: '' } },
  ]);
  const lookups = isQuick ? 2000 : 10_000;
  const lookupMs: number[] = [];
  for (let run = 0; run < 5; run++)
    lookupMs.push(
      await timed(async () => {
        for (let at = 0; at < lookups / 5; at++) await store.find(deep);
      }),
    );
  const tops = await store.list((await store.find('')) as StoredNode, {
    order: 'name',
    isDescending: false,
    after: undefined,
    limit: 1000,
  });
  const scans: number[] = [];
  for (let run = 0; run < 3; run++) {
    let count = 0;
    const ms = await timed(async () => {
      for (const top of tops)
        if (top.path.startsWith('t')) for await (const piece of store.walk(top)) count += piece.nodes.length;
    });
    scans.push((count / ms) * 1000);
  }
  const totals: number[] = [];
  for (let run = 0; run < 9; run++) totals.push(await timed(() => store.totals()));
  return {
    ingest: rate,
    memoryMib,
    listMs: await listMs(store, 'one', 'name', isQuick ? 9 : 51),
    listBySizeMs: await listMs(store, 'one', 'size', isQuick ? 9 : 51),
    lookupUs: (median(lookupMs) / (lookups / 5)) * 1000,
    scan: median(scans),
    totalsMs: median(totals),
  };
}

/** Nodes per second through the contract, with the events that are told of them in the same transaction. */
async function contractRates(nodes: number): Promise<{ told: number; quiet: number; walked: number }> {
  const rates: number[] = [];
  let walked = 0;
  for (const quiet of [false, true]) {
    const plan = { datasource: 'bench', folder: '/nowhere', objectsService: 'cellar.grpc.data.objects.local1' };
    await using platform = await startTestPlatform([{ definition: index, instance: 'bench', plan }]);
    const client = platform.client(Index, serviceCaller('cellar.grpc.bench'), 'cellar.grpc.data.index.bench');
    let ms = 0;
    for (const changes of treeBatches(nodes, batch)) {
      const message = changes.flatMap((change) => (change.kind === 'put' ? [messageOf(change)] : []));
      ms += await timed(() => client.applyChanges({ changes: message, quiet }));
    }
    rates.push((nodes / ms) * 1000);
    let count = 0;
    const walkMs = await timed(async () => {
      for await (const { nodes: some } of client.walkNodes({ path: '' })) count += some.length;
    });
    walked = (count / walkMs) * 1000;
  }
  const [told = 0, quiet = 0] = rates;
  return { told, quiet, walked };
}

function messageOf({ path, entry }: Extract<TreeChange, { kind: 'put' }>) {
  const { isFolder, sizeBytes, mtimeUs, inode, etag } = entry;
  const size = { sizeBytes: BigInt(sizeBytes), modifyTimeNs: BigInt(mtimeUs) * 1000n, inode: BigInt(inode) };
  return { kind: Change_Kind.PUT, path, entry: { isFolder, etag, ...size } };
}

/** A folder of many folders and files moved back and forth, beside the same in an index of full paths. */
async function moves(): Promise<{ ours: number; byPath: number }> {
  const { database, end } = temporaryDatabase();
  const store = await open(database);
  await ingest(database, store, treeBatches(moved + moved / 20, batch, 'from/'));
  const took: number[] = [];
  for (let run = 0; run < 5; run++) {
    const [path, newPath] = run % 2 === 0 ? ['from', 'zz/to'] : ['zz/to', 'from'];
    took.push(await timed(() => store.apply(database, [{ kind: 'move', path: path as string, newPath: newPath as string }])));
  }
  await end();
  const folder = mkdtempSync(join(tmpdir(), 'cellar-bench-'));
  const paths = new DatabaseSync(join(folder, 'paths.db'));
  paths.exec('pragma journal_mode = wal; pragma synchronous = normal; pragma cache_size = -16000');
  paths.exec(
    'create table nodes (path text primary key, size bigint, mtime_us bigint, inode bigint, etag text) without rowid; begin',
  );
  const insert = paths.prepare('insert into nodes values (?, ?, ?, ?, ?)');
  for (const changes of treeBatches(moved + moved / 20, batch, 'from/'))
    for (const change of changes)
      if (change.kind === 'put') insert.run(change.path, change.entry.sizeBytes, change.entry.mtimeUs, change.entry.inode, '');
  paths.exec('commit');
  const rewritten: number[] = [];
  for (let run = 0; run < 3; run++) {
    const [from, to] = run % 2 === 0 ? ['from/', 'zz/to/'] : ['zz/to/', 'from/'];
    const sql = `update nodes set path = '${to}' || substr(path, ${from.length + 1}) where path >= '${from}' and path < '${from.slice(0, -1)}0'`;
    rewritten.push(await timed(() => paths.exec(sql)));
  }
  paths.close();
  rmSync(folder, { recursive: true, force: true });
  return { ours: median(took), byPath: median(rewritten) };
}

/** What SQLite itself inserts per second in this process and minute, as a measure of the machine: same columns, one row per statement. */
async function bareRate(rows: number): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'cellar-bench-'));
  const bare = new DatabaseSync(join(folder, 'bare.db'));
  bare.exec('pragma journal_mode = wal; pragma synchronous = normal; pragma cache_size = -16000');
  bare.exec(
    'create table files (folder bigint, name text, id bigint, size bigint, mtime_us bigint, inode bigint, etag text, primary key (folder, name)) without rowid',
  );
  const insert = bare.prepare('insert into files values (?, ?, ?, ?, ?, ?, ?)');
  const ms = await timed(() => {
    for (let from = 0; from < rows; from += batch) {
      bare.exec('begin');
      for (let at = from; at < from + batch; at++) insert.run(Math.floor(at / 20), `file-${at % 20}.txt`, at, at, at, at, '');
      bare.exec('commit');
    }
  });
  bare.close();
  rmSync(folder, { recursive: true, force: true });
  return (rows / ms) * 1000;
}

async function onSqlite(nodes: number): Promise<Measured> {
  const { database, end } = temporaryDatabase();
  try {
    return await measure(database, nodes);
  } finally {
    await end();
  }
}

async function onPostgres(): Promise<Measured | undefined> {
  if (await postgresMissing().catch(() => 'missing')) return undefined;
  await using server = await startPostgres();
  const database = openDatabase({ url: await server.createDatabase(), name: 'index', log: silentLog });
  try {
    return await measure(database, postgresNodes);
  } finally {
    await database.close();
  }
}

const row = (
  name: string,
  { ingest: rate, listMs: list, listBySizeMs, lookupUs, scan, totalsMs, memoryMib }: Measured,
): Cell[] => [name, ...[rate, list, listBySizeMs, lookupUs, scan, totalsMs, memoryMib]];
const startedMs = performance.now();
const bareBefore = await bareRate(small);
const atSmall = await onSqlite(small);
const atMiddle = await onSqlite(middle);
const atLarge = await onSqlite(large);
const bareAfter = await bareRate(small);
const bare = (bareBefore + bareAfter) / 2;
const contract = await contractRates(isQuick ? small : 200_000);
const { ours, byPath } = await moves();
const postgres = await onPostgres();

const name = (nodes: number): string =>
  `SQLite, ${nodes.toLocaleString('en').replaceAll(',', ' ')} nodes in a tree, as many in one folder`;
const blank: Cell[] = ['', '', '', '', '', ''];
report('index', {
  columns: [
    'index of a datasource',
    'ingest, nodes/s',
    'list 1 000 of one folder by name, ms',
    'by size, ms',
    'path lookup at depth 10, us',
    'subtree scan, nodes/s',
    'total of everything, ms',
    'memory of the process, MiB',
  ],
  rows: [
    row(name(small), atSmall),
    row(name(middle), atMiddle),
    row(name(large), atLarge),
    ...(postgres
      ? [row(`PostgreSQL on this machine, ${postgresNodes.toLocaleString('en').replaceAll(',', ' ')} nodes`, postgres)]
      : []),
    ['through the contract, one event for each node', contract.told, '', '', '', contract.walked, '', ''],
    ['through the contract, quiet (one event for the files of a folder)', contract.quiet, ...blank],
    ['bare SQLite, one insert per row, no tree, for scale', bare, ...blank],
    [`took ${Math.round((performance.now() - startedMs) / 1000)} s`, '', ...blank],
  ],
  claims: [
    claim('ingest of 1 000 000 nodes, nodes/s', '>= 200 000', atMiddle.ingest, atMiddle.ingest >= 200_000),
    claim('the same, as a share of bare SQLite inserts', '>= 0.5', atMiddle.ingest / bare, atMiddle.ingest / bare >= 0.5),
    claim('list 1 000 of a folder of 1 000 000, ms', '< 5', atMiddle.listMs, atMiddle.listMs < 5),
    claim('path lookup at depth 10, us', '< 60', atMiddle.lookupUs, atMiddle.lookupUs < 60),
    claim('subtree scan, nodes/s', '>= 1 000 000', atMiddle.scan, atMiddle.scan >= 1_000_000),
    claim('total size of everything, ms', '< 20', atMiddle.totalsMs, atMiddle.totalsMs < 20),
    claim(
      'ingest at 5 000 000 nodes, times that at 100 000',
      '>= 0.7',
      atLarge.ingest / atSmall.ingest,
      atLarge.ingest / atSmall.ingest >= 0.7,
    ),
    claim(
      'list at 5 000 000, speed as a share of that at 100 000',
      '>= 0.7',
      atSmall.listMs / atLarge.listMs,
      atSmall.listMs / atLarge.listMs >= 0.7,
    ),
    claim('move of 100 000 files in 5 000 folders, ms', '< 60', ours, ours < 60),
    claim('the same, times as fast as rewriting paths', '>= 20', byPath / ours, byPath / ours >= 20),
  ],
});

function claim(what: string, target: string, measured: number, holds: boolean) {
  return { what, target, measured, holds };
}
