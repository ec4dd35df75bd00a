import type { Database, Sql, Transaction } from '#kernel/database/database.ts';
import { alreadyExists, exhausted, failedPrecondition, notFound } from '#kernel/fault.ts';
import type { FleetStore, HostUse, StoredHost } from './store.ts';

type HostVerbs = Pick<FleetStore, 'fleetId' | 'addHost' | 'host' | 'hostRecord' | 'hosts' | 'updateHost' | 'removeHost'>;

interface Row {
  readonly version: number;
  readonly record: string;
  readonly clusters: number;
  readonly weight: number;
  readonly free: number;
  readonly used: number;
}

const columns = `h.version, h.record, h.clusters, h.weight,
  (select count(*) from clusters c where c.host = h.name and c.claim > '') as used,
  (select count(*) from clusters c where c.host = h.name and c.is_free = 1) as free`;

export function createHostRows(database: Database): HostVerbs {
  const find = async (sql: Sql, name: string): Promise<(StoredHost & HostUse) | undefined> => {
    const row = await sql.get<Row>(`select ${columns} from hosts h where h.name = $1`, name);
    return row && hostOf(row);
  };
  return {
    async fleetId(newId) {
      await database.run('insert into fleet (only_row, id) values (1, $1) on conflict (only_row) do nothing', newId);
      return (await database.get<{ id: string }>('select id from fleet'))?.id ?? newId;
    },
    async addHost(tx, host) {
      const { name, identity } = host;
      const taken = await tx.get<{ name: string }>('select name from hosts where name = $1 or identity = $2', name, identity);
      if (taken?.name === name)
        throw alreadyExists(`Cannot add host "${name}": there is one of this name`, { reason: 'host_exists' });
      if (taken) {
        throw alreadyExists(`Cannot add host "${name}": its engine is that of host "${taken.name}"`, {
          reason: 'engine_taken',
          hint: 'An engine belongs to one host; change that one instead.',
        });
      }
      await tx.run(
        `insert into hosts (name, identity, state, record, capacity, capacity_weight, is_open, clusters, weight, version)
         values ($1, $2, $3, $4, $5, $6, $7, 0, 0, 1)`,
        ...[name, identity, ...fields(host)],
      );
    },
    host: (name) => find(database, name),
    async hostRecord(name) {
      const row = await database.get<Pick<Row, 'version' | 'record'>>('select version, record from hosts where name = $1', name);
      return row && { ...(JSON.parse(row.record) as StoredHost), version: row.version };
    },
    hosts: async (after, limit) =>
      (await database.all<Row>(`select ${columns} from hosts h where h.name > $1 order by h.name limit $2`, after, limit)).map(
        hostOf,
      ),
    async updateHost(tx, host, version) {
      const { changes } = await tx.run(
        `update hosts set state = $3, record = $4, capacity = $5, capacity_weight = $6, is_open = $7, version = version + 1
         where name = $1 and version = $2 and clusters <= $5 and ($6 = 0 or weight <= $6)`,
        ...[host.name, version, ...fields(host)],
      );
      if (changes === 1) return { ...host, version: version + 1 };
      const now = await find(tx, host.name);
      if (now?.version !== version) return 'conflict';
      throw failedPrecondition(
        `Cannot lower the capacity of host "${host.name}" to ${host.spec.capacity}: ${now.clusters} clusters of weight ${now.weight} are there`,
        { reason: 'capacity_below_use', hint: 'Delete clusters first, or `clean` the host of its free ones.' },
      );
    },
    async removeHost(tx, name) {
      const { changes } = await tx.run('delete from hosts where name = $1 and clusters = 0', name);
      if (changes === 0 && (await find(tx, name)))
        throw failedPrecondition(`Cannot delete host "${name}": clusters are there`, { reason: 'host_used' });
    },
  };
}

/** Takes a place for a cluster. Errors: `not_found`, `host_closed`, `host_full`. */
export async function takePlace(tx: Transaction, host: string, weight: number): Promise<StoredHost> {
  const { changes } = await tx.run(
    `update hosts set clusters = clusters + 1, weight = weight + $2
     where name = $1 and is_open = 1 and clusters < capacity and (capacity_weight = 0 or weight + $2 <= capacity_weight)`,
    ...[host, weight],
  );
  const row = await tx.get<Row & { is_open: number }>(`select h.is_open, ${columns} from hosts h where h.name = $1`, host);
  if (!row) throw notFound(`There is no host "${host}"`, { reason: 'host_missing' });
  const found = hostOf(row);
  if (changes === 1) return found;
  if (row.is_open === 0) {
    throw failedPrecondition(
      `Cannot build a cluster on host "${host}": it is ${found.spec.cordoned ? 'cordoned' : found.state}`,
      {
        reason: 'host_closed',
      },
    );
  }
  throw exhausted(`Cannot build a cluster on host "${host}": its capacity of ${found.spec.capacity} is used up`, {
    reason: 'host_full',
    hint: 'Raise its capacity, add a host, or delete clusters.',
  });
}

export async function freePlace(tx: Transaction, host: string, weight: number): Promise<void> {
  await tx.run('update hosts set clusters = clusters - 1, weight = weight - $2 where name = $1', host, weight);
}

function fields(host: StoredHost): (string | number)[] {
  const { state, spec } = host;
  const { version: _, name: __, ...record } = host;
  const isOpen = !spec.cordoned && (state === 'active' || state === 'unreachable') && host.deletedMs === 0;
  return [state, JSON.stringify({ ...record, name: host.name }), spec.capacity, spec.capacityWeight, isOpen ? 1 : 0];
}

function hostOf({ record, version, clusters, weight, free, used }: Row): StoredHost & HostUse {
  return { ...(JSON.parse(record) as StoredHost), version, clusters, weight, free, used };
}
