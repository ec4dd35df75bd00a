import type { Database, SqlValue, Transaction } from '#kernel/database/database.ts';
import { exhausted } from '#kernel/fault.ts';
import type { Labels } from '../../common/words.ts';
import { type ClusterRow, clusterColumns, clusterOf } from './cluster-rows.ts';
import { fitsWish, isOfKind, isSelected } from './fits-wish.ts';
import type { ClaimWish, FleetStore, StoredClaim, StoredCluster, StoredHost } from './store.ts';

type ClaimVerbs = Pick<
  FleetStore,
  'addClaim' | 'claim' | 'claims' | 'ownMatch' | 'bind' | 'endClaim' | 'renewClaim' | 'waiting' | 'expired'
>;

interface Row {
  readonly record: string;
}

/** How many free clusters are read at once to find one that fits. */
const [pieceMin, pieceMax] = [4, 500];
/** Nothing is given out where people have closed. */
const isOnOpenHost = 'exists (select 1 from hosts h where h.name = clusters.host and h.is_open = 1)';

export function createClaimRows(database: Database): ClaimVerbs {
  const list = async (where: string, ...params: SqlValue[]): Promise<StoredClaim[]> =>
    (await database.all<Row>(`select record from claims where ${where}`, ...params)).map(claimOf);
  return {
    async addClaim(tx, claim, quota) {
      const { user } = claim;
      // The row of the claimer is locked by this: two claims of one user wait for each other.
      await tx.run('insert into claimers (user_id, claims) values ($1, 0) on conflict (user_id) do nothing', user);
      const { changes } = await tx.run('update claimers set claims = claims + 1 where user_id = $1 and claims < $2', user, quota);
      if (changes === 0) {
        throw exhausted(`${claim.userName} cannot claim another cluster: ${quota} are the most for one user`, {
          reason: 'quota_reached',
          hint: 'Release one, or ask an administrator for a larger quota.',
        });
      }
      await tx.run(
        `insert into claims (id, state, user_id, cluster, applied_ms, expire_ms, record) values ($1, $2, $3, $4, $5, $6, $7)`,
        ...[claim.id, claim.state, user, claim.cluster, claim.appliedMs, claim.expireMs, JSON.stringify(claim)],
      );
    },
    claim: async (id) => (await list('id = $1', id))[0],
    async claims({ user, cluster, withEnded = false }, after, limit) {
      const params: SqlValue[] = [];
      const where = [withEnded ? '1 = 1' : "state <> 'ended'"];
      if (user !== undefined) where.push(`user_id = $${params.push(user)}`);
      if (cluster !== undefined) where.push(`cluster = $${params.push(cluster)}`);
      if (after) where.push(`(applied_ms, id) < ($${params.push(after.appliedMs)}, $${params.push(after.id)})`);
      return await list(`${where.join(' and ')} order by applied_ms desc, id desc limit $${params.push(limit)}`, ...params);
    },
    async ownMatch(tx, user, wish) {
      const rows = await tx.all<Row>(
        "select record from claims where user_id = $1 and state = 'bound' order by applied_ms, id",
        user,
      );
      const labelsOf = hostLabels(tx);
      for (const claim of rows.map(claimOf)) {
        const row = await tx.get<ClusterRow>(`select ${clusterColumns} from clusters where name = $1`, claim.cluster);
        const cluster = row && clusterOf(row);
        if (cluster && fitsWish(cluster, wish, await labelsOf(cluster.host, [wish]))) return claim;
      }
      return undefined;
    },
    async bind(tx, claim, nowMs, before = []) {
      // Its row is locked by this: somebody else may be serving it right now, and it must not get two.
      const waits = await tx.run("update claims set state = 'waiting' where id = $1 and state = 'waiting'", claim.id);
      if (waits.changes === 0) return undefined;
      for await (const cluster of candidates(tx, claim.wish, before)) {
        const given: StoredCluster = { ...cluster, claim: claim.id, owner: claim.user, version: cluster.version + 1 };
        const { changes } = await tx.run(
          `update clusters set claim = $3, owner = $4, is_free = 0, version = $2 + 1, record = $5
           where name = $1 and version = $2 and is_free = 1 and ${isOnOpenHost}`,
          ...[cluster.name, cluster.version, claim.id, claim.user, JSON.stringify(given)],
        );
        if (changes === 0) continue;
        const expireMs = Math.min(nowMs + claim.ttlMs, claim.expireMsMax);
        const { name, host, blueprint, labels } = cluster;
        const bound = { state: 'bound', cluster: name, given: { host, blueprint, labels }, boundMs: nowMs, expireMs } as const;
        return await save(tx, { ...claim, ...bound }, 'waiting');
      }
      return undefined;
    },
    async endClaim(tx, id, reason, nowMs) {
      const row = await tx.get<Row>("select record from claims where id = $1 and state <> 'ended'", id);
      const claim = row && claimOf(row);
      if (!claim) return undefined;
      const ended = await save(tx, { ...claim, state: 'ended', endedMs: nowMs, endReason: reason }, claim.state);
      if (!ended) return undefined;
      await tx.run('update claimers set claims = claims - 1 where user_id = $1', claim.user);
      return ended;
    },
    async renewClaim(tx, id, expireMs) {
      const row = await tx.get<Row>("select record from claims where id = $1 and state = 'bound'", id);
      const claim = row && claimOf(row);
      return claim && (await save(tx, { ...claim, expireMs: Math.min(expireMs, claim.expireMsMax) }, 'bound'));
    },
    waiting: (limit) => list("state = 'waiting' order by applied_ms, id limit $1", limit),
    expired: (nowMs, limit) =>
      list("state in ('bound', 'waiting') and expire_ms > 0 and expire_ms <= $1 order by expire_ms limit $2", nowMs, limit),
  };
}

/** Free clusters that fit, by selector and then by the time they were ready, without those that somebody before waits for; read in pieces, since the first one is taken as a rule. */
async function* candidates(tx: Transaction, wish: ClaimWish, before: readonly ClaimWish[]): AsyncGenerator<StoredCluster> {
  const selectors = wish.selectors.length > 0 ? wish.selectors : [{ host: '', labels: {} }];
  const [where, ...params]: [string, ...SqlValue[]] = wish.blueprint === '' ? [''] : [' and blueprint = $3', wish.blueprint];
  const labelsOf = hostLabels(tx);
  for (const selector of selectors) {
    let after: { readonly readyMs: number; readonly name: string } | undefined = { readyMs: -1, name: '' };
    for (let size = pieceMin; after; size = pieceMax) {
      const rows: (ClusterRow & { readyMs: number })[] = await tx.all(
        `select ${clusterColumns}, ready_ms as "readyMs" from clusters
         where is_free = 1 and (ready_ms, name) > ($1, $2) and ${isOnOpenHost}${where} order by ready_ms, name limit ${size}`,
        ...[after.readyMs, after.name, ...params],
      );
      for (const cluster of rows.map(clusterOf)) {
        if (!isOfKind(cluster, wish)) continue;
        const labels = await labelsOf(cluster.host, [wish, ...before]);
        if (isSelected(cluster, selector, labels) && !before.some((other) => fitsWish(cluster, other, labels))) yield cluster;
      }
      after = rows.length < size ? undefined : rows.at(-1);
    }
  }
}

/** The labels of hosts, each read once, and only when one of the wishes asks for labels. */
function hostLabels(tx: Transaction): (host: string, wishes: readonly ClaimWish[]) => Promise<Labels> {
  const known = new Map<string, Labels>();
  return async (host, wishes) => {
    if (!wishes.some(({ selectors }) => selectors.some(({ labels }) => Object.keys(labels).length > 0))) return {};
    const labels = known.get(host) ?? (await readLabels(tx, host));
    known.set(host, labels);
    return labels;
  };
}

async function readLabels(tx: Transaction, host: string): Promise<Labels> {
  const row = await tx.get<Row>('select record from hosts where name = $1', host);
  return row ? (JSON.parse(row.record) as StoredHost).spec.labels : {};
}

async function save(tx: Transaction, claim: StoredClaim, before: StoredClaim['state']): Promise<StoredClaim | undefined> {
  const { changes } = await tx.run(
    'update claims set state = $3, cluster = $4, expire_ms = $5, record = $6 where id = $1 and state = $2',
    ...[claim.id, before, claim.state, claim.cluster, claim.expireMs, JSON.stringify(claim)],
  );
  return changes === 1 ? claim : undefined;
}

const claimOf = ({ record }: Row): StoredClaim => JSON.parse(record) as StoredClaim;
