import type { Database, Transaction } from '../database/database.ts';
import { type Migration, migrate } from '../database/migrations.ts';
import { failedPrecondition } from '../fault.ts';
import type { Log } from '../log.ts';
import { type Registration, type Registry, ServiceState } from '../services/registry.ts';

export interface SharedRegistryOptions {
  /** Of the engine all machines share. PostgreSQL: another machine cannot write into an SQLite file. */
  readonly database: Database;
  readonly machine: string;
  /** Copy of this machine; what others run is put into it. */
  readonly registry: Registry;
  /** What this machine runs, as others reach it. */
  readonly local: () => readonly Registration[];
  readonly log: Log;
  /** How often this machine says that it is there, and reads the others. Unit: milliseconds; default 1 000. */
  readonly everyMs?: number;
  /** Silence after which a machine counts as away. Unit: milliseconds; default 5 000. */
  readonly awayMs?: number;
}

export interface SharedRegistry {
  /** Tells the others that this machine leaves. */
  close(): Promise<void>;
}

const topic = 'cellar_registry';
/** A machine that was away for so long is forgotten. Unit: milliseconds. */
const forgottenMs = 24 * 3_600_000;
/** The engine's own clock, so that machines' clocks need not agree. */
const nowSql = 'cast(extract(epoch from clock_timestamp()) * 1000 as bigint)';

const migrations: readonly Migration[] = [
  {
    id: 1,
    name: 'registry',
    sql: `create table cellar_machines (machine {text} primary key, beat_ms bigint not null);
          create table cellar_registrations (machine {text} not null, service {text} not null, registration {text} not null, primary key (machine, service))`,
  },
];

interface RemoteRow {
  readonly machine: string;
  readonly service: string;
  readonly registration: string;
  readonly ageMs: number;
}

/**
 * Keeps the registry of several machines: each writes what it runs with a heartbeat and reads the others'. The services of a machine that is
 * silent are `stopped` here, so that calls to them fail at once. While the engine is away what was known last holds.
 */
export async function shareRegistry(options: SharedRegistryOptions): Promise<SharedRegistry> {
  const { database, machine, registry, local, log, everyMs = 1000, awayMs = 5000 } = options;
  if (database.engine !== 'postgres') {
    throw failedPrecondition('Cannot work with other machines: the registry is in an SQLite file, which they cannot reach', {
      hint: 'Set database.url to a PostgreSQL database that all machines reach.',
    });
  }
  await migrate(database, migrations, { area: 'registry' });
  const remote = new Set<string>();
  let written = new Map<string, string>();
  let isAway = false;

  const write = async (): Promise<void> => {
    const wanted = new Map(local().map((registration) => [registration.service, JSON.stringify(registration)]));
    const changed = [...wanted].filter(([service, text]) => written.get(service) !== text);
    const gone = [...written.keys()].filter((service) => !wanted.has(service));
    await database.transaction(async (tx) => {
      await tx.run(
        `insert into cellar_machines (machine, beat_ms) values ($1, ${nowSql}) on conflict (machine) do update set beat_ms = excluded.beat_ms`,
        machine,
      );
      for (const [service, text] of changed) await upsert(tx, service, text);
      for (const service of gone)
        await tx.run('delete from cellar_registrations where machine = $1 and service = $2', machine, service);
      if (changed.length + gone.length > 0) await tx.notify(topic);
    });
    written = wanted;
  };
  const upsert = (tx: Transaction, service: string, text: string): Promise<unknown> =>
    tx.run(
      `insert into cellar_registrations (machine, service, registration) values ($1, $2, $3)
       on conflict (machine, service) do update set registration = excluded.registration`,
      machine,
      service,
      text,
    );

  const read = async (): Promise<void> => {
    const rows = await database.all<RemoteRow>(
      `select r.machine, r.service, r.registration, ${nowSql} - m.beat_ms as "ageMs"
       from cellar_registrations r join cellar_machines m on m.machine = r.machine where r.machine <> $1`,
      machine,
    );
    const own = new Set(local().map(({ service }) => service));
    const seen = new Set<string>();
    // A service that ran on a machine that is away may run on another one now.
    for (const row of rows.toSorted((a, b) => b.ageMs - a.ageMs)) {
      if (own.has(row.service)) continue;
      seen.add(row.service);
      const registration = JSON.parse(row.registration) as Registration;
      const isSilent = row.ageMs > awayMs;
      const now: Registration = isSilent
        ? {
            ...registration,
            state: ServiceState.Stopped,
            reason: `machine ${row.machine} has not been heard of for ${Math.round(row.ageMs / 1000)} s`,
          }
        : registration;
      const known = registry.get(row.service);
      if (isSilent && known?.state === ServiceState.Stopped && known.machine === row.machine) continue;
      if (JSON.stringify(known) !== JSON.stringify(now)) registry.set(now);
    }
    for (const service of remote) {
      if (seen.has(service)) continue;
      remote.delete(service);
      if (!own.has(service)) registry.remove(service);
    }
    for (const service of seen) remote.add(service);
  };

  let running: Promise<void> | undefined;
  let isAsked = false;
  let isClosed = false;
  const turn = async (): Promise<void> => {
    do {
      isAsked = false;
      try {
        await write();
        await read();
        if (isAway) log.info('the shared registry answers again');
        isAway = false;
      } catch (error) {
        if (!isAway) log.warn('the shared registry does not answer; what was known last holds', { error });
        isAway = true;
      }
    } while (isAsked && !isAway && !isClosed);
    running = undefined;
  };
  /** One turn at a time; asked meanwhile, it takes another one after. */
  const ask = (): void => {
    if (isClosed) return;
    isAsked = true;
    running ??= turn();
  };

  // What an earlier run of this machine left.
  await database.run(`delete from cellar_machines where ${nowSql} - beat_ms > $1`, forgottenMs);
  await database.run(
    'delete from cellar_registrations where machine = $1 or machine not in (select machine from cellar_machines)',
    machine,
  );
  await write();
  await read();
  const timer = setInterval(ask, everyMs);
  const unlisten = database.listen(topic, ask);
  const unwatch = registry.watch(({ service }) => {
    if (!remote.has(service)) ask();
  });
  return {
    close: async () => {
      isClosed = true;
      clearInterval(timer);
      unlisten();
      unwatch();
      await running;
      try {
        await database.transaction(async (tx) => {
          await tx.run('delete from cellar_registrations where machine = $1', machine);
          await tx.run('delete from cellar_machines where machine = $1', machine);
          await tx.notify(topic);
        });
      } catch (error) {
        log.warn('the other machines could not be told that this one leaves; they will notice', { error });
      }
    },
  };
}
