import { setImmediate } from 'node:timers/promises';
import type { Database, Transaction } from '#kernel/database/database.ts';
import { labelMax, labelStride } from '#lib/sparse-labels.ts';
import { IdSet } from './id-set.ts';
import { rankedFilesMin } from './migrations.ts';
import { readerOf } from './reader.ts';
import { rootId } from './rows.ts';
import { type DamageKind, missingIndexes } from './scan.ts';

const rowsAtOnce = 2000;
const timeoutMs = 600_000;

/** Each heals one kind of damage, whatever there is of it now, in transactions of its own. In the order in which they build on each other. */
const healers: readonly (readonly [kinds: readonly DamageKind[], heal: (database: Database) => Promise<void>])[] = [
  [['name'], dropBadNames],
  [['duplicate'], dropClashes],
  [['orphan', 'cycle', 'labels', 'root', 'name', 'duplicate', 'engine'], healTree],
  [['orphan', 'cycle', 'labels', 'root', 'name', 'duplicate', 'engine'], dropLostFiles],
  [['counter', 'root'], healIds],
  [['sums', 'orphan', 'duplicate', 'name', 'engine', 'root'], healSums],
];

/** Heals damage of these kinds as far as the index itself knows what is right. `newTag` is for an index that lost its own. */
export async function repair(database: Database, kinds: ReadonlySet<DamageKind>, newTag: string): Promise<void> {
  await healIndexes(database);
  await healRoot(database, newTag);
  for (const [own, heal] of healers) if (own.some((kind) => kinds.has(kind))) await heal(database);
}

/** A transaction that no other writer of this index is in. */
function write(database: Database, body: (tx: Transaction) => Promise<void>): Promise<void> {
  return database.transaction(
    async (tx) => {
      await tx.run('update state set next_id = next_id');
      await body(tx);
    },
    { timeoutMs },
  );
}

const indexSql: Readonly<Record<string, string>> = {
  folders_name: 'create unique index folders_name on folders (parent, name)',
  folders_pos: 'create index folders_pos on folders (pos, own_files, own_bytes)',
  files_size: 'create index files_size on files (folder, size, name) where is_ranked = 1',
  files_time: 'create index files_time on files (folder, mtime_us, name) where is_ranked = 1',
};

/** Makes missing indexes again. Of folders that have one name the oldest stays; what is in the others is lost, and found by a full pass. */
async function healIndexes(database: Database): Promise<void> {
  const missing = await missingIndexes(readerOf(database));
  if (missing.length === 0) return;
  await write(database, async (tx) => {
    if (missing.includes('folders_name'))
      await tx.run('delete from folders where id not in (select min(id) from folders group by parent, name)');
    for (const name of missing) await tx.script(indexSql[name] ?? '');
  });
}

async function healRoot(database: Database, newTag: string): Promise<void> {
  await write(database, async (tx) => {
    await tx.run(
      'insert into state (only_row, tag, next_id, source_position) values (1, $1, 2, 0) on conflict (only_row) do nothing',
      newTag,
    );
    await tx.run(`delete from folders where parent = 0 and id <> ${rootId}`);
    await tx.run(
      `insert into folders (id, parent, name, pos, last, own_files, own_bytes, mtime_us, inode) values (${rootId}, 0, '', 0, 0, 0, 0, 0, 0)
       on conflict (id) do update set parent = 0, name = ''`,
    );
  });
}

async function dropBadNames(database: Database): Promise<void> {
  const nul = database.engine === 'sqlite' ? ' or instr(name, char(0)) > 0' : '';
  await write(database, async (tx) => {
    await tx.run(`delete from files where name in ('', '.', '..') or name like '%/%'${nul}`);
    await tx.run(
      `delete from folders where id <> ${rootId}
       and (name not like '%/' or name like '%/%/' or name in ('/', './', '../')${nul})`,
    );
  });
}

/** Where a file and a folder have one name the folder stays. */
async function dropClashes(database: Database): Promise<void> {
  await forFolders(database, async (tx, after, upTo) => {
    await tx.run(
      `delete from files where (folder, name) in
       (select parent, rtrim(name, '/') from folders where id > $1 and id <= $2 and name <> '')`,
      after,
      upTo,
    );
  });
}

/** Removes folders that no way leads to, and gives all others labels by their parents and names if any label is wrong. */
async function healTree(database: Database): Promise<void> {
  await write(database, async (tx) => {
    const tree = await readTree(tx);
    const lost = tree.ids.filter((id) => !tree.reached.has(id));
    for (let at = 0; at < lost.length; at += rowsAtOnce) {
      const ids = JSON.stringify(lost.slice(at, at + rowsAtOnce));
      await tx.run(`delete from files where folder in (${idList(tx)})`, ids);
      await tx.run(`delete from folders where id in (${idList(tx)})`, ids);
    }
    const step = Math.min(labelStride, Math.floor(labelMax / (tree.order.length + 1)));
    const isSound = tree.order.every(
      ({ pos, last, end, lastAround }, at) =>
        pos > (tree.order[at - 1]?.pos ?? -1) &&
        last >= (tree.order[end]?.pos ?? 0) &&
        last <= lastAround &&
        last < (tree.order[end + 1]?.pos ?? Number.POSITIVE_INFINITY),
    );
    if (isSound) return;
    for (let at = 0; at < tree.order.length; at += rowsAtOnce) {
      const piece = tree.order.slice(at, at + rowsAtOnce);
      await setLabels(
        tx,
        piece.map(({ id, end }, offset) => ({ id, pos: (at + offset) * step, last: end * step })),
      );
      await setImmediate();
    }
  });
}

interface PlacedFolder {
  readonly id: number;
  readonly pos: number;
  readonly last: number;
  /** Place of the last folder that lies in it, itself when there is none. */
  end: number;
  /** `last` of the folder around it. */
  lastAround: number;
}

/** All folders; in tree order those that are reached from the root by parents and names. */
async function readTree(tx: Transaction): Promise<{ ids: number[]; order: PlacedFolder[]; reached: ReadonlySet<number> }> {
  const ids: number[] = [];
  const children = new Map<number, PlacedFolder[]>();
  const select = `select id, parent, name, pos, last from folders where (parent, name) > ($1, $2) order by parent, name limit ${rowsAtOnce}`;
  type Row = { id: number; parent: number; name: string; pos: number; last: number };
  for (let after: readonly [number, string] = [Number.MIN_SAFE_INTEGER, '']; ; ) {
    const rows: Row[] = await tx.all<Row>(select, ...after);
    for (const { id, parent, pos, last } of rows) {
      ids.push(id);
      const siblings = children.get(parent) ?? [];
      siblings.push({ id, pos, last, end: 0, lastAround: Number.POSITIVE_INFINITY });
      children.set(parent, siblings);
    }
    const end = rows.at(-1);
    if (!end) break;
    after = [end.parent, end.name];
    await setImmediate();
  }
  const order: PlacedFolder[] = [];
  const reached = new Set<number>();
  const stack = (children.get(0) ?? []).map((folder) => ({ folder, next: -1 }));
  for (let top = stack.at(-1); top; top = stack.at(-1)) {
    if (top.next < 0) {
      reached.add(top.folder.id);
      order.push(top.folder);
    }
    top.next += 1;
    const child = children.get(top.folder.id)?.[top.next];
    if (child) {
      child.lastAround = top.folder.last;
      stack.push({ folder: child, next: -1 });
    } else {
      top.folder.end = order.length - 1;
      stack.pop();
    }
  }
  return { ids, order, reached };
}

async function setLabels(tx: Transaction, rows: readonly { id: number; pos: number; last: number }[]): Promise<void> {
  if (tx.sqlite) {
    for (const { id, pos, last } of rows) tx.sqlite.run('update folders set pos = $1, last = $2 where id = $3', pos, last, id);
    return;
  }
  await tx.run(
    `update folders set pos = r.pos, last = r.last
     from json_to_recordset($1::json) as r(id bigint, pos bigint, last bigint) where folders.id = r.id`,
    JSON.stringify(rows),
  );
}

async function dropLostFiles(database: Database): Promise<void> {
  const select = `select distinct f.folder from files f left join folders d on d.id = f.folder
    where f.folder > $1 and d.id is null order by f.folder limit 100`;
  for (let after = Number.MIN_SAFE_INTEGER; ; ) {
    const lost = await database.all<{ folder: number }>(select, after);
    const last = lost.at(-1);
    if (!last) return;
    after = last.folder;
    await write(database, async (tx) => {
      const ids = JSON.stringify(lost.map(({ folder }) => folder));
      await tx.run(`delete from files where folder in (${idList(tx)}) and folder not in (select id from folders)`, ids);
    });
  }
}

/** Makes the next id a new one, and gives new ones to files whose ids others have too. */
async function healIds(database: Database): Promise<void> {
  const sql = readerOf(database);
  const ids = new IdSet();
  let idMax = rootId;
  for (let after = Number.MIN_SAFE_INTEGER; ; ) {
    const rows = await sql.rows(`select id from folders where id > $1 order by id limit ${rowsAtOnce}`, after);
    for (const [id] of rows) ids.add(id as number);
    after = (rows.at(-1)?.[0] as number | undefined) ?? 0;
    if (rows.length === 0) break;
    idMax = Math.max(idMax, after);
  }
  const again: (readonly [number, string])[] = [];
  const select = `select folder, name, id from files where (folder, name) > ($1, $2) order by folder, name limit ${rowsAtOnce}`;
  for (let after: readonly [number, string] = [Number.MIN_SAFE_INTEGER, '']; ; ) {
    const rows = (await sql.rows(select, ...after)) as [number, string, number][];
    for (const [folder, name, id] of rows) {
      idMax = Math.max(idMax, id);
      if (!ids.add(id)) again.push([folder, name]);
    }
    const last = rows.at(-1);
    if (!last) break;
    after = [last[0], last[1]];
    await setImmediate();
  }
  await write(database, (tx) => setNextId(tx, idMax + 1));
  for (let at = 0; at < again.length; at += rowsAtOnce) {
    await write(database, async (tx) => {
      const state = await tx.get<{ nextId: number }>('select next_id as "nextId" from state');
      let nextId = state?.nextId ?? idMax + 1;
      for (const [folder, name] of again.slice(at, at + rowsAtOnce))
        await tx.run('update files set id = $1 where folder = $2 and name = $3', nextId++, folder, name);
      await setNextId(tx, nextId);
    });
  }
}

async function setNextId(tx: Transaction, nextId: number): Promise<void> {
  await tx.run('update state set next_id = $1 where next_id < $2', nextId, nextId);
}

/** What folders say of their own files, and which files are in the indexes of large folders. */
async function healSums(database: Database): Promise<void> {
  const count = '(select count(*) from files f where f.folder = folders.id)';
  const bytes = '(select coalesce(sum(f.size), 0) from files f where f.folder = folders.id)';
  const isRanked = '(select d.is_ranked from folders d where d.id = files.folder)';
  await forFolders(database, async (tx, after, upTo) => {
    const range = [after, upTo];
    await tx.run(
      `update folders set own_files = ${count}, own_bytes = ${bytes}
       where id > $1 and id <= $2 and (own_files <> ${count} or own_bytes <> ${bytes})`,
      ...range,
    );
    await tx.run(
      `update folders set is_ranked = 1 where id > $1 and id <= $2 and is_ranked <> 1 and own_files > ${rankedFilesMin}`,
      ...range,
    );
    await tx.run(
      `update files set is_ranked = ${isRanked} where folder > $1 and folder <= $2 and is_ranked <> ${isRanked}`,
      ...range,
    );
  });
}

/** Runs a task for all folders, some at a time by their ids: more than `after`, up to `upTo`. */
async function forFolders(
  database: Database,
  task: (tx: Transaction, after: number, upTo: number) => Promise<void>,
): Promise<void> {
  const select = `select max(id) as last from (select id from folders where id > $1 order by id limit ${rowsAtOnce}) as next`;
  for (let after = Number.MIN_SAFE_INTEGER; ; ) {
    const next = await database.get<{ last: number | null }>(select, after);
    if (next?.last === null || next?.last === undefined) return;
    const upTo = next.last;
    await write(database, (tx) => task(tx, after, upTo));
    after = upTo;
    await setImmediate();
  }
}

function idList(tx: Transaction): string {
  return tx.sqlite ? 'select value from json_each($1)' : 'select json_array_elements_text($1::json)::bigint';
}
