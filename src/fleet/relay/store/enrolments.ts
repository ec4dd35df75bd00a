import type { Database, Sql, Transaction } from '#kernel/database/database.ts';

/** A certificate that was issued for an agent in place of its own: it counts too, until the agent has come with it. */
export interface Renewed extends Enrolment {
  /** The agent has said that it has it. */
  readonly isTaken: boolean;
}

/** The one certificate that the agent of a host may use. */
export interface Enrolment {
  readonly host: string;
  /** SHA-256 of the certificate, as `X509Certificate.fingerprint256`. */
  readonly fingerprint: string;
  /** Milliseconds since 1970. */
  readonly enrolMs: number;
  readonly expireMs: number;
}

export interface Enrolments {
  find(host: string): Promise<Enrolment | undefined>;
  /** In the order of their hosts, after one. */
  list(after: string, limit: number): Promise<readonly Enrolment[]>;
  /** In place of what was there for the host. */
  put(enrolment: Enrolment): Promise<void>;
  remove(host: string): Promise<void>;
  /** The newest first. */
  renewals(host: string): Promise<readonly Renewed[]>;
  /** Beside those there are, of which the oldest go when there are too many; not when the host's enrolment is another one by now. Result: whether it is. */
  renew(enrolment: Enrolment, renewed: Renewed): Promise<boolean>;
  taken(renewed: Renewed): Promise<void>;
  /** Its agent has come with a renewed certificate: no other counts from then on. */
  promote(renewed: Renewed): Promise<void>;
}

/** An answer may have been lost, so that an agent has one that is not the newest; not many times in a row. */
const renewalsMax = 8;

const columns = 'host, fingerprint, enrol_ms as "enrolMs", expire_ms as "expireMs"';

export function createEnrolments(database: Database): Enrolments {
  return {
    find: (host) => database.get<Enrolment>(`select ${columns} from enrolments where host = $1`, host),
    list: (after, limit) =>
      database.all<Enrolment>(`select ${columns} from enrolments where host > $1 order by host limit $2`, after, limit),
    put: (enrolment) => database.transaction((tx) => put(tx, enrolment)),
    remove: (host) =>
      database.transaction(async (tx) => {
        await tx.run('delete from enrolments where host = $1', host);
        await tx.run('delete from renewals where host = $1', host);
      }),
    renewals: (host) => renewalsOf(database, host),
    renew: (enrolment, renewed) =>
      database.transaction(async (tx) => {
        const { host, fingerprint, enrolMs, expireMs } = renewed;
        const known = await tx.get(
          'select host from enrolments where host = $1 and fingerprint = $2',
          host,
          enrolment.fingerprint,
        );
        if (!known) return false;
        await tx.run(
          'insert into renewals (fingerprint, host, enrol_ms, expire_ms, is_taken) values ($1, $2, $3, $4, 0)',
          ...[fingerprint, host, enrolMs, expireMs],
        );
        for (const old of (await renewalsOf(tx, host)).slice(renewalsMax))
          await tx.run('delete from renewals where fingerprint = $1', old.fingerprint);
        return true;
      }),
    taken: async ({ fingerprint }) =>
      void (await database.run('update renewals set is_taken = 1 where fingerprint = $1', fingerprint)),
    promote: (renewed) =>
      database.transaction(async (tx) => {
        // Not when it was revoked meanwhile.
        if (await tx.get('select host from renewals where fingerprint = $1', renewed.fingerprint)) await put(tx, renewed);
      }),
  };
}

async function renewalsOf(sql: Sql, host: string): Promise<readonly Renewed[]> {
  const rows = await sql.all<Enrolment & { readonly taken: number }>(
    `select ${columns}, is_taken as taken from renewals where host = $1 order by enrol_ms desc, fingerprint`,
    host,
  );
  return rows.map(({ taken, ...enrolment }) => ({ ...enrolment, isTaken: taken === 1 }));
}

async function put(tx: Transaction, { host, fingerprint, enrolMs, expireMs }: Enrolment): Promise<void> {
  await tx.run('delete from renewals where host = $1', host);
  await tx.run(
    `insert into enrolments (host, fingerprint, enrol_ms, expire_ms) values ($1, $2, $3, $4)
         on conflict (host) do update set fingerprint = excluded.fingerprint, enrol_ms = excluded.enrol_ms, expire_ms = excluded.expire_ms`,
    ...[host, fingerprint, enrolMs, expireMs],
  );
}
