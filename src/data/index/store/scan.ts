import { setImmediate } from 'node:timers/promises';
import type { Engine } from '#kernel/database/database.ts';
import { IdSet } from './id-set.ts';
import type { Reader } from './reader.ts';
import { rootId } from './rows.ts';

export type DamageKind = 'root' | 'orphan' | 'cycle' | 'duplicate' | 'name' | 'labels' | 'sums' | 'counter' | 'engine';

export interface Damage {
  readonly kind: DamageKind;
  /** The folder it is about or in, for its path; absent: of the whole index. */
  readonly folder?: number;
  /** Of a file or folder in that folder. */
  readonly name?: string;
  /** In words for people. */
  readonly detail: string;
  /** How many rows; 1 when absent. */
  readonly rows?: number;
  /** What is right only the storage can tell. */
  readonly needsFullPass: boolean;
}

export interface Scanned {
  readonly step: string;
  /** So far. */
  readonly folders: number;
  readonly files: number;
  readonly damages: readonly Damage[];
}

const foldersAtOnce = 1000;
const filesAtOnce = 5000;

/** What the tables have besides their primary keys. */
const indexNames = ['folders_name', 'folders_pos', 'files_size', 'files_time'] as const;
const indexesSql: Readonly<Record<Engine, string>> = {
  sqlite: `select name from sqlite_schema where type = 'index'`,
  postgres: 'select indexname as name from pg_indexes where schemaname = current_schema()',
};

/**
 * Looks at every row, some at a time. The reader has to see one moment. When indexes are missing only that is told and what it brought: the
 * rest would take for ever.
 */
export async function* scan(sql: Reader): AsyncGenerator<Scanned> {
  let [folders, files] = [0, 0];
  yield { step: 'database', folders, files, damages: await engineDamages(sql) };
  const missing = await missingIndexes(sql);
  if (missing.length > 0) {
    const detail = `The indexes ${missing.join(', ')} are missing`;
    yield {
      step: 'database',
      folders,
      files,
      damages: [{ kind: 'engine', detail, needsFullPass: false }, ...(await duplicates(sql))],
    };
    return;
  }
  yield { step: 'root', folders, files, damages: await rootDamages(sql) };
  const ids = new IdSet();
  let idMax = 0;
  for (let after = Number.MIN_SAFE_INTEGER; ; ) {
    const rows = await folderRows(sql, after);
    const last = rows.at(-1);
    if (!last) break;
    const sums = await sumsOf(sql, after, last.id);
    after = last.id;
    idMax = Math.max(idMax, last.id);
    folders += rows.length;
    for (const { id } of rows) ids.add(id);
    const damages: Damage[] = [];
    for (const row of rows) for (const damage of folderDamages(row, sums.get(row.id))) damages.push(await withCycle(sql, damage));
    yield { step: 'folders', folders, files, damages };
    await setImmediate();
  }
  const select = `select f.folder, f.name, f.id, d.id as parent from files f left join folders d on d.id = f.folder
    where (f.folder, f.name) > ($1, $2) order by f.folder, f.name limit ${filesAtOnce}`;
  for (let after: readonly [number, string] = [Number.MIN_SAFE_INTEGER, '']; ; ) {
    const rows = (await sql.rows(select, ...after)) as [folder: number, name: string, id: number, parent: number | null][];
    const last = rows.at(-1);
    if (!last) break;
    after = [last[0], last[1]];
    files += rows.length;
    const damages: Damage[] = [];
    for (const [folder, name, id, parent] of rows) {
      idMax = Math.max(idMax, id);
      if (parent === null)
        damages.push({
          kind: 'orphan',
          name,
          detail: `The folder of file ${JSON.stringify(name)} is missing`,
          needsFullPass: true,
        });
      else if (!isName(name))
        damages.push({ kind: 'name', folder, detail: `No file can be named ${JSON.stringify(name)}`, needsFullPass: true });
      if (!ids.add(id)) damages.push({ kind: 'counter', folder, name, detail: `Id ${id} was given twice`, needsFullPass: false });
    }
    yield { step: 'files', folders, files, damages };
    await setImmediate();
  }
  const state = await sql.get<{ nextId: number }>('select next_id as "nextId" from state');
  const isBehind = state !== undefined && state.nextId <= idMax;
  const detail = `The next id would be ${state?.nextId}, but ${idMax} was given already`;
  yield { step: 'files', folders, files, damages: isBehind ? [{ kind: 'counter', detail, needsFullPass: false }] : [] };
}

/** A name that a file can have; that of a folder without its slash. */
export function isName(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && !name.includes('/') && !name.includes('\0');
}

export async function missingIndexes(sql: Reader): Promise<string[]> {
  const there = new Set((await sql.all<{ name: string }>(indexesSql[sql.engine])).map(({ name }) => name));
  return indexNames.filter((name) => !there.has(name));
}

/** What the engine says of its own file; only SQLite can be asked. */
async function engineDamages(sql: Reader): Promise<Damage[]> {
  if (sql.engine !== 'sqlite') return [];
  const rows = await sql.rows('pragma quick_check(20)');
  return rows.filter(([text]) => text !== 'ok').map(([text]) => ({ kind: 'engine', detail: String(text), needsFullPass: true }));
}

async function duplicates(sql: Reader): Promise<Damage[]> {
  const rows = await sql.all<{ parent: number; name: string; count: number }>(
    'select parent, name, count(*) as count from folders group by parent, name having count(*) > 1 limit 1000',
  );
  return rows.map(({ parent, name, count }) => ({
    kind: 'duplicate',
    ...{ folder: parent, name: name.slice(0, -1), rows: count, needsFullPass: true },
    detail: `There are ${count} folders ${JSON.stringify(name)} in one folder`,
  }));
}

async function rootDamages(sql: Reader): Promise<Damage[]> {
  const roots = await sql.all<{ id: number; name: string }>('select id, name from folders where parent = 0 or id = $1', rootId);
  const isWhole = roots.length === 1 && roots[0]?.id === rootId && roots[0].name === '';
  const damages: Damage[] = isWhole
    ? []
    : [{ kind: 'root', detail: 'The root is missing, changed, or not the only one', needsFullPass: true }];
  if (!(await sql.get('select tag from state')))
    damages.push({ kind: 'root', detail: 'The row with the state of the index is missing', needsFullPass: true });
  return damages;
}

/** Folders that lie in each other have labels that do not fit: say so. */
async function withCycle(sql: Reader, damage: Damage): Promise<Damage> {
  if (damage.kind !== 'labels') return damage;
  const seen = new Set<number>();
  for (let id = damage.folder ?? 0; id !== 0; ) {
    if (seen.has(id)) return { ...damage, kind: 'cycle', detail: 'It lies in itself, and not below the root' };
    seen.add(id);
    id = (await sql.get<{ parent: number }>('select parent from folders where id = $1', id))?.parent ?? 0;
  }
  return damage;
}

interface ScannedFolder {
  readonly id: number;
  readonly parent: number;
  readonly name: string;
  readonly pos: number;
  readonly last: number;
  readonly ownFiles: number;
  readonly ownBytes: number;
  readonly parentId: number | null;
  readonly parentPos: number;
  readonly parentLast: number;
  /** End of the folder before it in the same folder. */
  readonly previous: number | null;
  readonly samePos: number;
  readonly sameName: number;
}

async function folderRows(sql: Reader, after: number): Promise<ScannedFolder[]> {
  return sql.all<ScannedFolder>(
    `select d.id, d.parent, d.name, d.pos, d.last, d.own_files as "ownFiles", d.own_bytes as "ownBytes",
       p.id as "parentId", p.pos as "parentPos", p.last as "parentLast",
       (select s.last from folders s where s.parent = d.parent and s.name < d.name order by s.name desc limit 1) as previous,
       (select count(*) from folders e where e.pos = d.pos) as "samePos",
       (select count(*) from files f where f.folder = d.parent and f.name = rtrim(d.name, '/')) as "sameName"
     from folders d left join folders p on p.id = d.parent
     where d.id > $1 order by d.id limit ${foldersAtOnce}`,
    after,
  );
}

interface Sums {
  readonly folder: number;
  readonly files: number;
  readonly bytes: number;
  /** Files that are in the indexes of large folders and should not be, or the other way round. */
  readonly misplaced: number;
}

async function sumsOf(sql: Reader, after: number, upTo: number): Promise<Map<number, Sums>> {
  const rows = await sql.all<Sums>(
    `select f.folder, count(*) as files, sum(f.size) as bytes, sum(case when f.is_ranked <> d.is_ranked then 1 else 0 end) as misplaced
     from files f join folders d on d.id = f.folder where f.folder > $1 and f.folder <= $2 group by f.folder`,
    after,
    upTo,
  );
  return new Map(rows.map((row) => [row.folder, row]));
}

function folderDamages(row: ScannedFolder, sums: Sums | undefined): Damage[] {
  const { id, parent, name, pos, last, parentId, parentPos, parentLast, previous, samePos, sameName } = row;
  const damages: Damage[] = [];
  const isRoot = id === rootId;
  const tell = (kind: DamageKind, needsFullPass: boolean, detail: string): void =>
    void damages.push({ kind, folder: id, detail, needsFullPass });
  const own = name.slice(0, -1);
  if (!isRoot && parentId === null && parent !== 0)
    tell('orphan', true, `The folder around folder ${JSON.stringify(own)} is missing`);
  if (!isRoot && !(name.endsWith('/') && isName(own))) tell('name', true, `No folder can be named ${JSON.stringify(name)}`);
  if (!isRoot && sameName > 0) tell('duplicate', true, `A file and a folder are both named ${JSON.stringify(own)}`);
  const isInside = isRoot || parentId === null || (parentPos < pos && last <= parentLast);
  const isAfter = previous === null || previous < pos;
  if (pos > last || samePos > 1 || !isInside || !isAfter) tell('labels', true, 'Its labels do not fit those around it');
  if (row.ownFiles !== (sums?.files ?? 0) || row.ownBytes !== (sums?.bytes ?? 0))
    tell(
      'sums',
      false,
      `It says ${row.ownFiles} files and ${row.ownBytes} bytes; there are ${sums?.files ?? 0} and ${sums?.bytes ?? 0}`,
    );
  if (sums && sums.misplaced > 0)
    tell('sums', false, `${sums.misplaced} of its files are missing in listings by size and time, or in vain in their indexes`);
  return damages;
}
