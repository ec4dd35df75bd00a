/** Ways to keep a tree in tables, on the same tree: what each question and each change costs. The toys here know only what they need for that. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { migrations } from '../src/data/index/store/migrations.ts';
import { createTreeStore } from '../src/data/index/store/sql.ts';
import type { StoredNode, TreeChange } from '../src/data/index/store/store.ts';
import { migrate } from '../src/kernel/database/migrations.ts';
import { temporaryDatabase, timed, treeBatches } from './index-trees.ts';
import { type Cell, isQuick, median, report } from './report.ts';

const sizes = isQuick ? [10_000, 50_000] : [100_000, 1_000_000];
/** No cell may take longer: then it is too slow, and said so. Unit: milliseconds. */
const cellMsMax = isQuick ? 3000 : 15_000;
const tooSlow = 'too slow';

type Put = Extract<TreeChange, { kind: 'put' }>;
type Answer = Promise<unknown> | unknown;

/** One way to keep a tree. Paths have no slash at their ends; folders come before what is in them. */
interface Encoding {
  readonly name: string;
  /** In one transaction each. */
  ingest(puts: readonly Put[]): Answer;
  insertOne(put: Put): Answer;
  /** A folder's children by name. */
  list(path: string): Answer;
  lookup(path: string): Answer;
  /** All below a folder, in an order of the tree. */
  scan(path: string): Answer;
  /** Bytes of all below a folder. */
  total(path: string): Answer;
  move(path: string, newPath: string): Answer;
  delete(path: string): Answer;
  end(): Answer;
  /** Makes the whole tree in an empty table, for those that are too slow to grow it. */
  load?(puts: readonly Put[]): Answer;
}

interface Toy {
  readonly db: DatabaseSync;
  readonly sql: (text: string) => StatementSync;
  readonly within: <T>(task: () => T) => T;
  readonly end: () => void;
}

function openToy(schema: string): Toy {
  const folder = mkdtempSync(join(tmpdir(), 'cellar-bench-'));
  const db = new DatabaseSync(join(folder, 'toy.db'));
  db.exec('pragma journal_mode = wal; pragma synchronous = normal; pragma cache_size = -16000; pragma temp_store = memory');
  db.exec(schema);
  const prepared = new Map<string, StatementSync>();
  const sql = (text: string): StatementSync => {
    const known = prepared.get(text) ?? db.prepare(text);
    prepared.set(text, known);
    return known;
  };
  const within = <T>(task: () => T): T => {
    db.exec('begin immediate');
    const value = task();
    db.exec('commit');
    return value;
  };
  return {
    db,
    sql,
    within,
    end: () => {
      db.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

const parentOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf('/')));
const nameOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1);
const prefixEnd = (path: string): string => `${path}0`; // "0" follows "/".

/** Adds the folders above what is put, which the benchmarks' tree leaves out. */
function withParents(known: Set<string>, puts: readonly Put[]): Put[] {
  return puts.flatMap((put) => {
    const missing: Put[] = [];
    for (let at = parentOf(put.path); at !== '' && !known.has(at); at = parentOf(at)) {
      known.add(at);
      missing.unshift({ ...put, path: at, entry: { ...put.entry, isFolder: true, sizeBytes: 0 } });
    }
    if (put.entry.isFolder) {
      if (known.has(put.path)) return missing;
      known.add(put.path);
    }
    return [...missing, put];
  });
}

/** A full path as the key. */
function pathKey(): Encoding {
  const toy = openToy(
    'create table nodes (path text primary key, parent text, size bigint) without rowid; create index children on nodes (parent, path)',
  );
  const known = new Set<string>();
  const insert = ({ path, entry }: Put): void =>
    void toy.sql('insert or replace into nodes values (?, ?, ?)').run(path, parentOf(path), entry.sizeBytes);
  return {
    name: 'path key',
    ingest: (puts) => toy.within(() => withParents(known, puts).forEach(insert)),
    insertOne: (put) => toy.within(() => insert(put)),
    list: (path) => toy.sql('select path, size from nodes where parent = ? order by path limit 1000').all(path),
    lookup: (path) => toy.sql('select size from nodes where path = ?').get(path),
    scan: (path) =>
      toy.sql('select path, size from nodes where path >= ? and path < ? order by path').all(`${path}/`, prefixEnd(path)),
    total: (path) => toy.sql('select sum(size) from nodes where path >= ? and path < ?').get(`${path}/`, prefixEnd(path)),
    move: (path, newPath) =>
      toy.within(() =>
        toy
          .sql('update nodes set path = ? || substr(path, ?), parent = ? || substr(parent, ?) where path >= ? and path < ?')
          .run(newPath, path.length + 1, newPath, path.length + 1, `${path}/`, prefixEnd(path)),
      ),
    delete: (path) =>
      toy.within(() => toy.sql('delete from nodes where path >= ? and path < ?').run(`${path}/`, prefixEnd(path))),
    end: toy.end,
  };
}

/** Parent and name, and questions that call themselves. */
function adjacency(): Encoding {
  const toy = openToy(
    'create table nodes (id integer primary key, parent bigint, name text, size bigint); create unique index names on nodes (parent, name)',
  );
  const known = new Set<string>();
  const ids = new Map<string, number>([['', 0]]);
  const idOf = (path: string): number => {
    const id = ids.get(path);
    if (id !== undefined) return id;
    return Number(
      toy.sql('select id from nodes where parent = ? and name = ?').get(idOf(parentOf(path)), nameOf(path))?.['id'] ?? -1,
    );
  };
  const insert = ({ path, entry }: Put): void => {
    const { lastInsertRowid } = toy
      .sql('insert into nodes (parent, name, size) values (?, ?, ?)')
      .run(idOf(parentOf(path)), nameOf(path), entry.sizeBytes);
    if (entry.isFolder) ids.set(path, Number(lastInsertRowid));
  };
  const below =
    'with recursive below (id, name, size) as (select id, name, size from nodes where parent = ? union all select n.id, n.name, n.size from nodes n join below b on n.parent = b.id)';
  const lookup = (path: string): unknown => {
    let id = 0;
    let row: Record<string, unknown> | undefined;
    for (const name of path.split('/')) {
      row = toy.sql('select id, size from nodes where parent = ? and name = ?').get(id, name);
      id = Number(row?.['id'] ?? -1);
    }
    return row;
  };
  return {
    name: 'parent and name, recursive queries',
    ingest: (puts) => toy.within(() => withParents(known, puts).forEach(insert)),
    insertOne: (put) => toy.within(() => insert(put)),
    list: (path) => toy.sql('select name, size from nodes where parent = ? order by name limit 1000').all(idOf(path)),
    lookup,
    scan: (path) => toy.sql(`${below} select name, size from below`).all(idOf(path)),
    total: (path) => toy.sql(`${below} select sum(size) from below`).get(idOf(path)),
    move: (path, newPath) =>
      toy.within(() => {
        const id = idOf(path);
        ids.clear();
        ids.set('', 0);
        toy.sql('update nodes set parent = ?, name = ? where id = ?').run(idOf(parentOf(newPath)), nameOf(newPath), id);
      }),
    delete: (path) => toy.within(() => toy.sql(`${below} delete from nodes where id in (select id from below)`).run(idOf(path))),
    end: toy.end,
  };
}

/** A row for each node and each folder above it. */
function closure(): Encoding {
  const toy =
    openToy(`create table nodes (id integer primary key, parent bigint, name text, size bigint); create unique index names on nodes (parent, name);
    create table above (ancestor bigint, node bigint, primary key (ancestor, node)) without rowid; create index ancestors on above (node)`);
  const known = new Set<string>();
  const ids = new Map<string, number>([['', 0]]);
  const idOf = (path: string): number => {
    const id = ids.get(path);
    if (id !== undefined) return id;
    return Number(
      toy.sql('select id from nodes where parent = ? and name = ?').get(idOf(parentOf(path)), nameOf(path))?.['id'] ?? -1,
    );
  };
  const insert = ({ path, entry }: Put): void => {
    const parent = idOf(parentOf(path));
    const id = Number(
      toy.sql('insert into nodes (parent, name, size) values (?, ?, ?)').run(parent, nameOf(path), entry.sizeBytes)
        .lastInsertRowid,
    );
    if (entry.isFolder) ids.set(path, id);
    toy.sql('insert into above select ancestor, ? from above where node = ? union all select ?, ?').run(id, parent, parent, id);
  };
  const below = 'select node from above where ancestor = ?';
  return {
    name: 'closure table',
    ingest: (puts) => toy.within(() => withParents(known, puts).forEach(insert)),
    insertOne: (put) => toy.within(() => insert(put)),
    list: (path) => toy.sql('select name, size from nodes where parent = ? order by name limit 1000').all(idOf(path)),
    lookup: (path) => {
      let id = 0;
      for (const name of path.split('/'))
        id = Number(toy.sql('select id from nodes where parent = ? and name = ?').get(id, name)?.['id'] ?? -1);
      return id;
    },
    scan: (path) =>
      toy.sql(`select n.name, n.size from above a join nodes n on n.id = a.node where a.ancestor = ?`).all(idOf(path)),
    total: (path) =>
      toy.sql(`select sum(n.size) from above a join nodes n on n.id = a.node where a.ancestor = ?`).get(idOf(path)),
    move: (path, newPath) =>
      toy.within(() => {
        const id = idOf(path);
        ids.clear();
        ids.set('', 0);
        const parent = idOf(parentOf(newPath));
        toy
          .sql(
            `delete from above where node in (${below} union all select ?) and ancestor in (select ancestor from above where node = ?)`,
          )
          .run(id, id, id);
        toy
          .sql(
            `insert into above select a.ancestor, b.node from (select ancestor from above where node = ? union all select ?) a, (${below} union all select ?) b`,
          )
          .run(parent, parent, id, id);
        toy.sql('update nodes set parent = ?, name = ? where id = ?').run(parent, nameOf(newPath), id);
      }),
    delete: (path) =>
      toy.within(() => {
        const id = idOf(path);
        toy.sql(`delete from nodes where id in (${below})`).run(id);
        toy.sql(`delete from above where node in (${below})`).run(id);
      }),
    end: toy.end,
  };
}

/** Classic nested sets: every node, files too, has a left and a right number, without gaps. */
function nestedSets(): Encoding {
  const toy =
    openToy(`create table nodes (lft bigint, rgt bigint, depth bigint, name text, size bigint); create index lefts on nodes (lft);
    create index rights on nodes (rgt); insert into nodes values (1, 2, 0, '', 0)`);
  const known = new Set<string>();
  type Row = { lft: number; rgt: number; depth: number };
  const child = 'select lft, rgt, depth from nodes where lft > ? and lft < ? and depth = ? and name = ?';
  const find = (path: string): Row => {
    let row: Row = toy.sql('select lft, rgt, depth from nodes where lft = 1').get() as unknown as Row;
    for (const name of path === '' ? [] : path.split('/'))
      row = toy.sql(child).get(row.lft, row.rgt, row.depth + 1, name) as unknown as Row;
    return row;
  };
  const shift = (from: number, by: number): void => {
    toy.sql('update nodes set rgt = rgt + ? where rgt >= ?').run(by, from);
    toy.sql('update nodes set lft = lft + ? where lft >= ?').run(by, from);
  };
  const insert = ({ path, entry }: Put): void => {
    const { rgt, depth } = find(parentOf(path));
    shift(rgt, 2);
    toy.sql('insert into nodes values (?, ?, ?, ?, ?)').run(rgt, rgt + 1, depth + 1, nameOf(path), entry.sizeBytes);
  };
  const load = (puts: readonly Put[]): void => {
    const rows: { put: Put; lft: number; rgt: number; depth: number }[] = [];
    const open: typeof rows = [];
    let next = 2;
    const close = (depth: number): void => {
      while (open.length >= depth) (open.pop() as (typeof rows)[number]).rgt = next++;
    };
    for (const put of withParents(known, puts)) {
      const depth = put.path.split('/').length;
      close(depth);
      const row = { put, lft: next++, rgt: 0, depth };
      rows.push(row);
      open.push(row);
    }
    close(1);
    toy.within(() => {
      toy.sql('update nodes set rgt = ? where lft = 1').run(next);
      for (const { put, lft, rgt, depth } of rows)
        toy.sql('insert into nodes values (?, ?, ?, ?, ?)').run(lft, rgt, depth, nameOf(put.path), put.entry.sizeBytes);
    });
  };
  return {
    name: 'classic nested sets',
    load,
    ingest: (puts) => toy.within(() => withParents(known, puts).forEach(insert)),
    insertOne: (put) => toy.within(() => insert(put)),
    list: (path) => {
      const { lft, rgt, depth } = find(path);
      return toy
        .sql('select name, size from nodes where lft > ? and lft < ? and depth = ? order by name limit 1000')
        .all(lft, rgt, depth + 1);
    },
    lookup: find,
    scan: (path) => {
      const { lft, rgt } = find(path);
      return toy.sql('select name, size from nodes where lft > ? and lft < ? order by lft').all(lft, rgt);
    },
    total: (path) => {
      const { lft, rgt } = find(path);
      return toy.sql('select sum(size) from nodes where lft > ? and lft < ?').get(lft, rgt);
    },
    move: (path, newPath) =>
      toy.within(() => {
        const { lft, rgt } = find(path);
        const width = rgt - lft + 1;
        // Out of the way below zero, the gap closed, another made, and in again.
        toy.sql('update nodes set lft = -lft, rgt = -rgt where lft between ? and ?').run(lft, rgt);
        shift(rgt, -width);
        const target = find(parentOf(newPath)).rgt;
        shift(target, width);
        toy.sql('update nodes set lft = -lft + ?, rgt = -rgt + ? where lft < 0').run(target - lft, target - lft);
        toy.sql('update nodes set name = ? where lft = ?').run(nameOf(newPath), target);
      }),
    delete: (path) =>
      toy.within(() => {
        const { lft, rgt } = find(path);
        toy.sql('delete from nodes where lft > ? and lft < ?').run(lft, rgt);
        shift(rgt, lft - rgt + 1);
      }),
    end: toy.end,
  };
}

/** The product's store as it is, which keeps more of each file than the toys do. */
async function ours(): Promise<Encoding> {
  const { database, end } = temporaryDatabase();
  await migrate(database, migrations);
  const store = createTreeStore(database);
  await store.prepare('bench');
  const folder = async (path: string): Promise<StoredNode> => (await store.find(path)) as StoredNode;
  return {
    name: 'nested sets over folders, sparse labels (Cellar)',
    ingest: (puts) => store.apply(database, puts),
    insertOne: (put) => store.apply(database, [put]),
    list: async (path) => store.list(await folder(path), { order: 'name', isDescending: false, after: undefined, limit: 1000 }),
    lookup: (path) => store.find(path),
    scan: async (path) => {
      let count = 0;
      for await (const { nodes } of store.walk(await folder(path))) count += nodes.length;
      return count;
    },
    total: async (path) => (await folder(path)).sizeBytes,
    move: (path, newPath) => store.apply(database, [{ kind: 'move', path, newPath }]),
    delete: (path) => store.apply(database, [{ kind: 'delete', path }]),
    end,
  };
}

/** The median of some runs; nothing when the first one took too long to go on. Unit: milliseconds. */
async function cell(runs: number, task: (run: number) => Answer): Promise<Cell> {
  const took: number[] = [];
  const deadline = performance.now() + cellMsMax;
  for (let run = 0; run < runs && performance.now() < deadline; run++) took.push(await timed(() => task(run)));
  return median(took) > cellMsMax ? tooSlow : median(took);
}

const times = (value: Cell, by: number): Cell => (typeof value === 'number' ? value * by : value);

async function measure(create: () => Encoding | Promise<Encoding>, nodes: number): Promise<Cell[]> {
  let encoding = await create();
  try {
    let [done, ms] = [0, 0];
    for (const puts of treeBatches(nodes, 1000) as Generator<Put[]>) {
      ms += await timed(() => encoding.ingest(puts));
      done += puts.length;
      if (ms > cellMsMax) break;
    }
    const rate = (done / ms) * 1000;
    const name = `${encoding.name}, ${spaced(nodes)} nodes`;
    if (done < nodes) {
      const stopped = `${tooSlow} (${spaced(rate)}/s, then stopped)`;
      if (!encoding.load) return [name, stopped, '', '', '', '', '', '', ''];
      await encoding.end();
      encoding = await create();
      await encoding.load?.([...(treeBatches(nodes, 1000) as Generator<Put[]>)].flat());
      return [name, `${stopped}; loaded whole for the rest`, ...(await others(encoding, nodes))];
    }
    return [name, rate, ...(await others(encoding, nodes))];
  } finally {
    await encoding.end();
  }
}

async function others(encoding: Encoding, nodes: number): Promise<Cell[]> {
  const first = [...(treeBatches(2, 2) as Generator<Put[]>)].flat()[1] as Put;
  const insert = await cell(20, (run) => encoding.insertOne({ ...first, path: `${parentOf(first.path)}/new-${run}` }));
  const list = await cell(50, () => encoding.list('t000/u001/d001'));
  const lookup = await cell(200, () => encoding.lookup('t000/u002/d002/file-007.txt'));
  const scan = await cell(3, () => encoding.scan('t000'));
  const total = await cell(3, () => encoding.total('t000'));
  const move = await cell(1, () => encoding.move('t000', 'zz'));
  const remove = await cell(1, () => encoding.delete('zz'));
  const scanned = Math.min(nodes, 50_000);
  return [insert, list, times(lookup, 1000), typeof scan === 'number' ? (scanned / scan) * 1000 : scan, total, move, remove];
}

function spaced(value: number): string {
  return Math.round(value).toLocaleString('en').replaceAll(',', ' ');
}

const rows: Cell[][] = [];
for (const nodes of sizes)
  for (const create of [ours, pathKey, adjacency, closure, nestedSets]) rows.push(await measure(create, nodes));
report('index-encodings', {
  columns: [
    'encoding',
    'ingest, nodes/s',
    'insert one, ms',
    'list a folder of 19, ms',
    'path lookup at depth 4, us',
    'scan of 50 000 below a folder, nodes/s',
    'their total size, ms',
    'move of them, ms',
    'delete of them, ms',
  ],
  rows,
});
