import type { Database } from '#kernel/database/database.ts';

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
}

const columns = 'host, fingerprint, enrol_ms as "enrolMs", expire_ms as "expireMs"';

export function createEnrolments(database: Database): Enrolments {
  return {
    find: (host) => database.get<Enrolment>(`select ${columns} from enrolments where host = $1`, host),
    list: (after, limit) =>
      database.all<Enrolment>(`select ${columns} from enrolments where host > $1 order by host limit $2`, after, limit),
    async put({ host, fingerprint, enrolMs, expireMs }) {
      await database.run(
        `insert into enrolments (host, fingerprint, enrol_ms, expire_ms) values ($1, $2, $3, $4)
         on conflict (host) do update set fingerprint = excluded.fingerprint, enrol_ms = excluded.enrol_ms, expire_ms = excluded.expire_ms`,
        ...[host, fingerprint, enrolMs, expireMs],
      );
    },
    remove: async (host) => void (await database.run('delete from enrolments where host = $1', host)),
  };
}
