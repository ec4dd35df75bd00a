import type { Database } from '#kernel/database/database.ts';

export interface Pause {
  /** Unit: milliseconds since 1970. */
  readonly sinceMs: number;
  readonly reason: string;
}

/** What outlasts a restart. Errors: those of the database. */
export interface SyncStore {
  pause(): Promise<Pause | undefined>;
  setPause(pause: Pause | undefined): Promise<void>;
  mounts(): Promise<readonly string[]>;
  setMounts(paths: readonly string[]): Promise<void>;
  /** Hash of the token by which the other server is known. */
  notificationHash(): Promise<string | undefined>;
  setNotificationHash(hash: string | undefined): Promise<void>;
}

/** The store on a database with the tables of `migrations`. */
export function createSyncStore(database: Database): SyncStore {
  return {
    pause: () => database.get<Pause>('select since_ms as "sinceMs", reason from pause'),
    async setPause(pause) {
      await database.transaction(async (tx) => {
        await tx.run('delete from pause');
        if (pause) await tx.run('insert into pause (only_row, since_ms, reason) values (1, $1, $2)', pause.sinceMs, pause.reason);
      });
    },
    async mounts() {
      return (await database.all<{ path: string }>('select path from mounts order by path')).map(({ path }) => path);
    },
    async setMounts(paths) {
      await database.transaction(async (tx) => {
        await tx.run('delete from mounts');
        for (const path of paths) await tx.run('insert into mounts (path) values ($1)', path);
      });
    },
    notificationHash: async () => (await database.get<{ hash: string }>('select hash from notification_token'))?.hash,
    async setNotificationHash(hash) {
      await database.transaction(async (tx) => {
        await tx.run('delete from notification_token');
        if (hash !== undefined) await tx.run('insert into notification_token (only_row, hash) values (1, $1)', hash);
      });
    },
  };
}
