import type { Database, SqlValue } from '#kernel/database/database.ts';
import { alreadyExists, exhausted } from '#kernel/fault.ts';
import type { SnapshotVerbs, StoredSnapshot } from './snapshot-store.ts';

interface Row {
  readonly state: StoredSnapshot['state'];
  readonly record: string;
}

export function createSnapshotRows(database: Database): SnapshotVerbs {
  const list = async (where: string, ...params: SqlValue[]): Promise<StoredSnapshot[]> =>
    (await database.all<Row>(`select state, record from snapshots where ${where}`, ...params)).map(snapshotOf);
  return {
    async addSnapshot(tx, snapshot, countMax) {
      const { id, cluster, name, claim, state, createdMs, sizeBytes } = snapshot;
      const there = await tx.all<{ name: string }>(
        "select name from snapshots where cluster = $1 and state <> 'deleting'",
        cluster,
      );
      if (there.some((one) => one.name === name))
        throw alreadyExists(`Cluster "${cluster}" has a snapshot "${name}" already`, { reason: 'snapshot_exists' });
      if (there.length >= countMax) {
        throw exhausted(`Cluster "${cluster}" has ${there.length} snapshots, and may not have more`, {
          reason: 'snapshots_max',
          hint: 'Delete one first, or raise the setting fleet.snapshotsPerCluster.',
        });
      }
      await tx.run(
        `insert into snapshots (id, cluster, name, claim, state, created_ms, size_bytes, record) values ($1, $2, $3, $4, $5, $6, $7, $8)`,
        ...[id, cluster, name, claim, state, createdMs, sizeBytes, JSON.stringify(snapshot)],
      );
    },
    snapshot: async (cluster, name) => (await list("cluster = $1 and name = $2 and state <> 'deleting'", cluster, name))[0],
    snapshotOf: async (id) => (await list("id = $1 and state <> 'deleting'", id))[0],
    async snapshots(cluster, after, limit) {
      const params: SqlValue[] = [];
      const where = ["state <> 'deleting'"];
      if (cluster !== undefined) where.push(`cluster = $${params.push(cluster)}`);
      if (after)
        where.push(
          `(cluster, created_ms, id) > ($${params.push(after.cluster)}, $${params.push(after.createdMs)}, $${params.push(after.id)})`,
        );
      return await list(`${where.join(' and ')} order by cluster, created_ms, id limit $${params.push(limit)}`, ...params);
    },
    async updateSnapshot(tx, snapshot) {
      const { id, state, sizeBytes } = snapshot;
      const { changes } = await tx.run(
        "update snapshots set state = $2, size_bytes = $3, record = $4 where id = $1 and state <> 'deleting'",
        ...[id, state, sizeBytes, JSON.stringify(snapshot)],
      );
      return changes === 1;
    },
    async doomedSnapshots(limit) {
      await database.run(
        `update snapshots set state = 'deleting' where state <> 'deleting' and claim <> ''
         and not exists (select 1 from clusters where clusters.name = snapshots.cluster and clusters.claim = snapshots.claim)`,
      );
      return await list("state = 'deleting' order by id limit $1", limit);
    },
    unfinishedSnapshots: (limit) => list("state = 'creating' order by id limit $1", limit),
    removeSnapshot: async (tx, id) => void (await tx.run('delete from snapshots where id = $1', id)),
    snapshotBytes: async () =>
      Number((await database.get<{ total: number | null }>('select sum(size_bytes) as total from snapshots'))?.total ?? 0),
  };
}

const snapshotOf = ({ state, record }: Row): StoredSnapshot => ({ ...(JSON.parse(record) as StoredSnapshot), state });
