import type { SqlValue } from '#kernel/database/database.ts';
import { fileColumns } from './rows.ts';
import type { ListRequest } from './store.ts';

type Statement = readonly [sql: string, params: SqlValue[]];

/** One page of a folder's files: one range of one index, except that those of a small folder by size or time are all read and sorted. */
export function listFiles(folder: number, isRanked: boolean, { order, isDescending, after, limit }: ListRequest): Statement {
  const value = { name: undefined, size: 'size', time: 'mtime_us' }[order];
  const ranked = value && isRanked ? ' and is_ranked = 1' : '';
  return page(`select ${fileColumns} from files where folder = $1${ranked}`, value, isDescending, [folder], after, limit);
}

/** One page of a folder's folders with the sums of all below them, which are sums over a range of labels. */
export function listFolders(parent: number, { order, isDescending, after, limit }: ListRequest): Statement {
  const own = 'select id, name, pos, last, mtime_us, inode from folders where parent = $1';
  if (order !== 'size') {
    const value = order === 'time' ? 'mtime_us' : undefined;
    const [inner, params] = page(own, value, isDescending, [parent], after, limit);
    const direction = isDescending ? 'desc' : 'asc';
    return [`${withSums(inner)} order by ${value ? `f.${value} ${direction}, ` : ''}f.name ${direction}`, params];
  }
  return page(`select * from (${withSums(own)}) g where 1 = 1`, 'bytes', isDescending, [parent], after, limit);
}

function withSums(folders: string): string {
  return `select f.id, f.name, f.pos, f.last, f.mtime_us as "mtimeUs", f.inode, sum(s.own_files) as files, sum(s.own_bytes) as bytes
          from (${folders}) f join folders s on s.pos between f.pos and f.last
          group by f.id, f.name, f.pos, f.last, f.mtime_us, f.inode`;
}

/** Continues a statement that ends in a condition: rows after a place, by value and name. */
function page(
  sql: string,
  value: string | undefined,
  isDescending: boolean,
  given: SqlValue[],
  after: ListRequest['after'],
  limit: number,
): Statement {
  const [sign, direction] = isDescending ? ['<', 'desc'] : ['>', 'asc'];
  const params = [...given];
  let where = '';
  if (after && value) {
    where = ` and (${value}, name) ${sign} ($${params.push(after.value)}, $${params.push(after.name)})`;
  } else if (after) {
    where = ` and name ${sign} $${params.push(after.name)}`;
  }
  const order = value ? `${value} ${direction}, name ${direction}` : `name ${direction}`;
  return [`${sql}${where} order by ${order} limit $${params.push(limit)}`, params];
}
