import type { Database, Sql, SqlValue, Transaction } from '#kernel/database/database.ts';
import { alreadyExists, exhausted } from '#kernel/fault.ts';
import type { ReservedPort } from '../../common/words.ts';
import { hasLabels } from './fits-wish.ts';
import { freePlace, takePlace } from './host-rows.ts';
import type { ClusterFilter, FleetStore, NewCluster, StoredCluster } from './store.ts';

type ClusterVerbs = Pick<
  FleetStore,
  'addCluster' | 'cluster' | 'clusters' | 'clustersOn' | 'comingOn' | 'updateCluster' | 'removeCluster' | 'clusterNames'
>;

export interface ClusterRow {
  readonly name: string;
  readonly version: number;
  readonly record: string;
}

export const clusterColumns = 'name, version, record';
const pageMax = 500;

export function createClusterRows(database: Database): ClusterVerbs {
  const find = async (sql: Sql, name: string): Promise<StoredCluster | undefined> => {
    const row = await sql.get<ClusterRow>(`select ${clusterColumns} from clusters where name = $1`, name);
    return row && clusterOf(row);
  };
  return {
    async addCluster(tx, wanted) {
      const { name, host, weight } = wanted;
      if (await find(tx, name))
        throw alreadyExists(`Cannot make cluster "${name}": there is one of this name`, { reason: 'cluster_exists' });
      const { spec } = await takePlace(tx, host, weight);
      const ports = await reserve(tx, wanted, spec.portFirst, spec.portLast);
      const cluster = newCluster(wanted, ports);
      await tx.run(
        `insert into clusters (name, host, blueprint, state, health, claim, owner, is_free, ready_ms, weight, version, record)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 1, $11)`,
        ...[name, host, wanted.blueprint, ...fields(cluster), weight, JSON.stringify(cluster)],
      );
      return cluster;
    },
    cluster: (name) => find(database, name),
    async clusters(filter, after, limit) {
      const found: StoredCluster[] = [];
      const [where, params] = condition(filter);
      // Labels are looked at here: a page may need several reads.
      for (let from: string | undefined = after; from !== undefined && found.length < limit; ) {
        const size: number = Math.min(pageMax, filter.labels ? pageMax : limit);
        const rows: ClusterRow[] = await database.all<ClusterRow>(
          `select ${clusterColumns} from clusters where name > $1${where} order by name limit ${size}`,
          ...[from, ...params],
        );
        for (const row of rows) {
          const cluster = clusterOf(row);
          if (found.length < limit && hasLabels(cluster.labels, filter.labels)) found.push(cluster);
        }
        from = rows.length < size ? undefined : rows.at(-1)?.name;
      }
      return found;
    },
    async comingOn(host) {
      const row = await database.get<{ count: number }>(
        `select count(*) as count from clusters
         where host = $1 and claim = '' and state not in ('stopping', 'stopped', 'deleting')`,
        host,
      );
      return row?.count ?? 0;
    },
    clustersOn: async (tx, host) =>
      (await tx.all<ClusterRow>(`select ${clusterColumns} from clusters where host = $1 order by name`, host)).map(clusterOf),
    async updateCluster(tx, name, version, changes) {
      const now = await find(tx, name);
      if (now?.version !== version) return 'conflict';
      const cluster: StoredCluster = { ...now, ...changes, name, version: version + 1 };
      const { changes: changed } = await tx.run(
        `update clusters set state = $3, health = $4, claim = $5, owner = $6, is_free = $7, ready_ms = $8, version = $2 + 1, record = $9
         where name = $1 and version = $2`,
        ...[name, version, ...fields(cluster), JSON.stringify(cluster)],
      );
      return changed === 1 ? cluster : 'conflict';
    },
    async removeCluster(tx, name, version) {
      const now = await find(tx, name);
      if (!now) return 'done';
      const { changes } = await tx.run('delete from clusters where name = $1 and version = $2', name, version);
      if (changes === 0) return 'conflict';
      await tx.run('delete from ports where cluster = $1', name);
      await tx.run("update snapshots set state = 'deleting' where cluster = $1", name);
      await freePlace(tx, now.host, now.weight);
      return 'done';
    },
    clusterNames: async () =>
      (await database.all<{ name: string }>('select name from clusters order by name')).map(({ name }) => name),
  };
}

/** Free to be given away: ready and well, nobody's, and to stay. */
function isFree({ state, health, claim, desired, isRecycling, deletedMs, restarts, restarted, work }: StoredCluster): boolean {
  const isWell = state === 'ready' && health === 'ok' && work === undefined;
  return isWell && claim === '' && desired === 'running' && !isRecycling && deletedMs === 0 && restarts === restarted;
}

function fields(cluster: StoredCluster): (string | number)[] {
  const { state, health, claim, owner, readyMs } = cluster;
  return [state, health, claim, owner, isFree(cluster) ? 1 : 0, readyMs ?? 0];
}

export function clusterOf({ record, version }: ClusterRow): StoredCluster {
  const { readyMs, ...rest } = JSON.parse(record) as StoredCluster;
  return { ...rest, readyMs, version };
}

function newCluster(wanted: NewCluster, ports: readonly ReservedPort[]): StoredCluster {
  const { nowMs, avoidPorts: _, ports: __, ...rest } = wanted;
  return {
    ...rest,
    ports,
    incarnation: 1,
    desired: 'running',
    claim: '',
    owner: '',
    isRecycling: false,
    restarts: 0,
    restarted: 0,
    state: 'building',
    health: 'unknown',
    conditions: [],
    sinceMs: nowMs,
    readyMs: undefined,
    failures: 0,
    successes: 0,
    repairs: 0,
    repairAfterMs: 0,
    generation: 1,
    observedGeneration: 0,
    version: 1,
    createdMs: nowMs,
    deletedMs: 0,
  };
}

/** The lowest ports of the host's range that nobody has. Errors: `ports_used_up`. */
async function reserve(tx: Transaction, wanted: NewCluster, first: number, last: number): Promise<readonly ReservedPort[]> {
  const { host, name: cluster, ports: wishes } = wanted;
  if (wishes.length === 0) return [];
  const rows = await tx.all<{ port: number }>(
    'select port from ports where host = $1 and port between $2 and $3',
    host,
    first,
    last,
  );
  const used = new Set([...rows.map(({ port }) => port), ...wanted.avoidPorts]);
  const reserved: ReservedPort[] = [];
  for (let port = first; port <= last && reserved.length < wishes.length; port++) {
    const wish = wishes[reserved.length];
    if (!wish || used.has(port)) continue;
    await tx.run(
      'insert into ports (host, port, cluster, member, name) values ($1, $2, $3, $4, $5)',
      ...[host, port, cluster, wish.member, wish.name],
    );
    reserved.push({ ...wish, port });
  }
  if (reserved.length === wishes.length) return reserved;
  throw exhausted(
    `Cannot make cluster "${cluster}": host "${host}" has no ${wishes.length} free ports from ${first} to ${last}`,
    {
      reason: 'ports_used_up',
      hint: 'Give the host a larger range of ports.',
    },
  );
}

function condition({ host, blueprint, state, health, isUsed, owner }: ClusterFilter): [string, SqlValue[]] {
  const params: SqlValue[] = [];
  let where = '';
  const add = (column: string, value: SqlValue | undefined): void => {
    if (value !== undefined) where += ` and ${column} = $${params.push(value) + 1}`;
  };
  add('host', host);
  add('blueprint', blueprint);
  add('state', state);
  add('health', health);
  add('owner', owner);
  if (isUsed === true) where += " and claim <> ''";
  if (isUsed === false) where += ' and is_free = 1';
  return [where, params];
}
