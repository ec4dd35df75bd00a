import { createCounter } from '#kernel/database/counter.ts';
import type { Database, Sql, Transaction } from '#kernel/database/database.ts';
import { alreadyExists, exhausted, Fault, failedPrecondition, notFound, unauthenticated } from '#kernel/fault.ts';
import { type CredentialRow, type KeyRow, toCredential, toKey, toUser, type UserRow } from './rows.ts';
import type { Still, StoredUser, UserStore } from './store.ts';

export function createSqlUserStore(database: Database): UserStore {
  const epoch = createCounter(database, 'epoch');
  /** Transactions that withdraw something grow the epoch first: they run one after another, so two cannot each remove "the other" administrator. */
  const withdraw = <T>(body: (tx: Transaction) => Promise<T>): Promise<T> =>
    database.transaction(async (tx) => {
      await epoch.grow(tx);
      return body(tx);
    });
  return {
    async createUser(user) {
      try {
        await insertUser(database, user);
      } catch (error) {
        if (!(error instanceof Fault) || error.reason !== 'unique_violation') throw error;
        throw alreadyExists(`Cannot create user "${user.name}": the name is taken`, { reason: 'user_exists', cause: error });
      }
    },
    createFirstUser: (user) =>
      withdraw(async (tx) => {
        if (await hasUsers(tx)) return false;
        await insertUser(tx, user);
        return true;
      }),
    hasUsers: () => hasUsers(database),
    getUser: (name) => findUser(database, name),
    async getUserById(id) {
      const row = await database.get<UserRow>('select * from users where id = $1', id);
      return row && toUser(row);
    },
    async listUsers(after, limit) {
      const rows = await database.all<UserRow>('select * from users where name > $1 order by name limit $2', after, limit);
      return rows.map(toUser);
    },
    updateUser: (name, change) =>
      withdraw(async (tx) => {
        const user = await existing(tx, name, 'change');
        const next = { ...user, ...change };
        if (!next.isAdmin || next.isDisabled) await assertNotLastAdmin(tx, user);
        await tx.run(
          'update users set display_name = $2, is_admin = $3, is_disabled = $4 where id = $1',
          user.id,
          next.displayName,
          next.isAdmin ? 1 : 0,
          next.isDisabled ? 1 : 0,
        );
        if (next.isDisabled) await tx.run(`delete from credentials where user_id = $1 and kind = 'session'`, user.id);
        return next;
      }),
    deleteUser: (name) =>
      withdraw(async (tx) => {
        const user = await existing(tx, name, 'delete');
        await assertNotLastAdmin(tx, user);
        await tx.run('delete from users where id = $1', user.id);
      }),
    setPassword: (name, password) =>
      withdraw(async (tx) => {
        const user = await existing(tx, name, 'set the password of');
        await tx.run('update users set password = $2 where id = $1', user.id, password);
        await tx.run('delete from credentials where user_id = $1', user.id);
      }),
    async rehashPassword(id, from, to) {
      await database.run('update users set password = $3 where id = $1 and password = $2', id, from, to);
    },

    addCredential: (credential, countMax, still) =>
      database.transaction(async (tx) => {
        await assertStill(tx, credential.userId, still);
        const { kind, userId } = credential;
        if (kind === 'session') {
          await tx.run(
            `delete from credentials where id in (
               select id from credentials where user_id = $1 and kind = 'session' order by create_time desc, id limit 1000 offset $2)`,
            userId,
            countMax - 1,
          );
        } else {
          const count = await tx.get<{ count: number }>(
            `select count(*) as count from credentials where user_id = $1 and kind = 'token'`,
            userId,
          );
          assertBelow(count?.count ?? 0, countMax, 'tokens');
        }
        await tx.run(
          `insert into credentials (id, hash, user_id, kind, name, scopes, create_time, expire_time, last_use_time)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
          credential.id,
          credential.hash,
          userId,
          kind,
          credential.name,
          credential.scopes.join(' '),
          credential.createTimeMs,
          credential.expireTimeMs ?? null,
          credential.lastUseTimeMs,
        );
      }),
    async findCredential(hash) {
      const row = await database.get<CredentialRow>('select * from credentials where hash = $1', hash);
      const user = row && (await database.get<UserRow>('select * from users where id = $1', row.user_id));
      return row && user && { credential: toCredential(row), user: toUser(user) };
    },
    touchCredentials: (lastUse) =>
      database.transaction(async (tx) => {
        for (const [id, timeMs] of lastUse) {
          await tx.run('update credentials set last_use_time = $2 where id = $1 and last_use_time < $2', id, timeMs);
        }
      }),
    async listTokens(userId) {
      const rows = await database.all<CredentialRow>(
        `select * from credentials where user_id = $1 and kind = 'token' order by create_time desc, id`,
        userId,
      );
      return rows.map(toCredential);
    },
    deleteCredential: (userId, kind, id) =>
      withdraw(async (tx) => {
        const sql = 'delete from credentials where user_id = $1 and kind = $2 and id = $3';
        return (await tx.run(sql, userId, kind, id)).changes > 0;
      }),
    async deleteEndedSessions(expiredBeforeMs, unusedSinceMs) {
      await database.run(
        `delete from credentials where kind = 'session' and (expire_time < $1 or last_use_time < $2)`,
        expiredBeforeMs,
        unusedSinceMs,
      );
    },

    addKey: (key, countMax, still) =>
      database.transaction(async (tx) => {
        await assertStill(tx, key.userId, still);
        const count = await tx.get<{ count: number }>('select count(*) as count from keys where user_id = $1', key.userId);
        assertBelow(count?.count ?? 0, countMax, 'keys');
        await tx.run(
          'insert into keys (access_key, user_id, name, scopes, secret, create_time) values ($1, $2, $3, $4, $5, $6)',
          key.accessKey,
          key.userId,
          key.name,
          key.scopes.join(' '),
          key.secret,
          key.createTimeMs,
        );
      }),
    async findKey(accessKey) {
      const row = await database.get<KeyRow>('select * from keys where access_key = $1', accessKey);
      const user = row && (await database.get<UserRow>('select * from users where id = $1', row.user_id));
      return row && user && { key: toKey(row), user: toUser(user) };
    },
    async hasKeys() {
      return (await database.get('select 1 as one from keys limit 1')) !== undefined;
    },
    async listKeys(userId) {
      const sql = 'select * from keys where user_id = $1 order by create_time desc, access_key';
      return (await database.all<KeyRow>(sql, userId)).map(toKey);
    },
    deleteKey: (userId, accessKey) =>
      withdraw(
        async (tx) => (await tx.run('delete from keys where user_id = $1 and access_key = $2', userId, accessKey)).changes > 0,
      ),

    watchEpoch: (signal) => epoch.watch(signal),
  };
}

async function hasUsers(sql: Sql): Promise<boolean> {
  return (await sql.get('select 1 as one from users limit 1')) !== undefined;
}

async function insertUser(sql: Sql, user: StoredUser): Promise<void> {
  await sql.run(
    `insert into users (id, name, display_name, is_admin, is_disabled, password, create_time) values ($1, $2, $3, $4, $5, $6, $7)`,
    user.id,
    user.name,
    user.displayName,
    user.isAdmin ? 1 : 0,
    user.isDisabled ? 1 : 0,
    user.password,
    user.createTimeMs,
  );
}

async function findUser(sql: Sql, name: string): Promise<StoredUser | undefined> {
  const row = await sql.get<UserRow>('select * from users where name = $1', name);
  return row && toUser(row);
}

async function existing(sql: Sql, name: string, verb: string): Promise<StoredUser> {
  const user = await findUser(sql, name);
  if (!user) throw notFound(`Cannot ${verb} user "${name}": there is none of this name`, { reason: 'user_missing' });
  return user;
}

async function assertNotLastAdmin(tx: Transaction, user: StoredUser): Promise<void> {
  if (!user.isAdmin || user.isDisabled) return;
  const other = await tx.get('select 1 as one from users where is_admin = 1 and is_disabled = 0 and id <> $1 limit 1', user.id);
  if (other) return;
  throw failedPrecondition(`Cannot take user "${user.name}" away: no administrator would be left`, {
    reason: 'last_administrator',
    hint: 'Make somebody else an administrator first.',
  });
}

/** Also holds the user's row until the transaction ends, so that a password change or a lock waits, and then finds what was added. */
async function assertStill(tx: Transaction, userId: string, { credential, password }: Still): Promise<void> {
  const sql = 'update users set is_disabled = 0 where id = $1 and is_disabled = 0 and (password = $2 or $2 = $3)';
  // The engine has to know the parameter's type even when it is not asked for: an impossible password stands for "any".
  const { changes } = await tx.run(sql, userId, password ?? anyPassword, anyPassword);
  const made = credential === undefined || (await tx.get('select 1 as one from credentials where id = $1', credential));
  if (changes === 0 || !made) {
    throw unauthenticated('Cannot make a credential: the one it is made with has just ended', {
      reason: 'credential_ended',
      hint: 'Sign in again.',
    });
  }
}

const anyPassword = '*';

function assertBelow(count: number, countMax: number, what: string): void {
  if (count < countMax) return;
  throw exhausted(`Cannot make another: there are ${count} ${what} already, and ${countMax} is the most one user may have`, {
    reason: 'too_many',
    hint: `Delete ${what} that are no longer used.`,
  });
}
