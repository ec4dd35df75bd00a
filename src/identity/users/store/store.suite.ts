import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { migrate } from '#kernel/database/migrations.ts';
import { Fault } from '#kernel/fault.ts';
import type { DatabaseFactory } from '#kernel/testing/databases.ts';
import { migrations } from '../migrations.ts';
import { createSqlUserStore } from './sql.ts';
import type { StoredCredential, StoredKey, StoredUser, UserStore } from './store.ts';

const user = (name: string, more: Partial<StoredUser> = {}): StoredUser => ({
  id: `id-${name}`,
  name,
  displayName: name,
  isAdmin: false,
  isDisabled: false,
  password: 'stored',
  createTimeMs: 1,
  ...more,
});

const credential = (id: string, more: Partial<StoredCredential> = {}): StoredCredential => ({
  id,
  hash: `hash-${id}`,
  userId: 'id-ann',
  kind: 'session',
  name: '',
  scopes: ['*'],
  createTimeMs: 1,
  expireTimeMs: 100,
  lastUseTimeMs: 1,
  ...more,
});

const key = (accessKey: string, more: Partial<StoredKey> = {}): StoredKey => ({
  accessKey,
  userId: 'id-ann',
  name: '',
  scopes: ['data:*'],
  secret: Uint8Array.from([1, 2]),
  createTimeMs: 1,
  ...more,
});

const isFault = (reason: string) => (error: unknown) => {
  assert.ok(error instanceof Fault, String(error));
  assert.equal(error.reason, reason, error.message);
  return true;
};

/** What holds for the user store on every engine. */
export function userStoreSuite(factory: DatabaseFactory, skip: string | false = false): void {
  describe(`the user store on ${factory.engine}`, { skip }, () => {
    /** With the administrator `root` and the user `ann`. */
    const open = async (t: Parameters<DatabaseFactory['open']>[0]): Promise<UserStore> => {
      const database = await factory.open(t);
      await migrate(database, migrations);
      const store = createSqlUserStore(database);
      assert.equal(await store.createFirstUser(user('root', { isAdmin: true })), true);
      await store.createUser(user('ann'));
      return store;
    };
    const epochOf = async (store: UserStore): Promise<number> => {
      for await (const epoch of store.watchEpoch(AbortSignal.timeout(5000))) return epoch;
      throw new Error('no epoch');
    };

    test('users come back as they went in, by name, id and page', async (t) => {
      const store = await open(t);
      assert.deepEqual(await store.getUser('ann'), user('ann'));
      assert.deepEqual(await store.getUserById('id-root'), user('root', { isAdmin: true }));
      assert.equal(await store.getUser('nobody'), undefined);
      assert.deepEqual(
        (await store.listUsers('', 1)).map(({ name }) => name),
        ['ann'],
      );
      assert.deepEqual(
        (await store.listUsers('ann', 5)).map(({ name }) => name),
        ['root'],
      );
      await assert.rejects(store.createUser(user('ann', { id: 'other' })), isFault('user_exists'));
    });

    test('the first user is made once, also by many starters', async (t) => {
      const database = await factory.open(t);
      await migrate(database, migrations);
      const store = createSqlUserStore(database);
      assert.equal(await store.hasUsers(), false);
      const made = await Promise.all(['a', 'b', 'c'].map((name) => store.createFirstUser(user(name))));
      assert.deepEqual(made.toSorted(), [false, false, true]);
      assert.equal((await store.listUsers('', 9)).length, 1);
    });

    test('there is always an enabled administrator', async (t) => {
      const store = await open(t);
      for (const change of [{ isAdmin: false }, { isDisabled: true }]) {
        await assert.rejects(store.updateUser('root', change), isFault('last_administrator'));
      }
      await assert.rejects(store.deleteUser('root'), isFault('last_administrator'));
      await store.createUser(user('locked', { isAdmin: true, isDisabled: true }));
      await assert.rejects(store.deleteUser('root'), isFault('last_administrator'));
      await store.updateUser('root', { displayName: 'Root' });
      await store.updateUser('ann', { isAdmin: true });
      const outcomes = await Promise.allSettled([store.deleteUser('root'), store.updateUser('ann', { isAdmin: false })]);
      assert.deepEqual(outcomes.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected']);
    });

    test('unknown users are said to be unknown', async (t) => {
      const store = await open(t);
      await assert.rejects(store.updateUser('x', {}), isFault('user_missing'));
      await assert.rejects(store.deleteUser('x'), isFault('user_missing'));
      await assert.rejects(store.setPassword('x', 'y'), isFault('user_missing'));
    });

    const withdrawals: readonly [
      string,
      (store: UserStore) => Promise<unknown>,
      { session: boolean; token: boolean; key: boolean },
    ][] = [
      ['disabling', (store) => store.updateUser('ann', { isDisabled: true }), { session: false, token: true, key: true }],
      ['a new password', (store) => store.setPassword('ann', 'new'), { session: false, token: false, key: true }],
      ['deleting the user', (store) => store.deleteUser('ann'), { session: false, token: false, key: false }],
      ['a new role', (store) => store.updateUser('ann', { isAdmin: true }), { session: true, token: true, key: true }],
      ['signing out', (store) => store.deleteCredential('id-ann', 'session', 's'), { session: false, token: true, key: true }],
      [
        'deleting the token',
        (store) => store.deleteCredential('id-ann', 'token', 't'),
        { session: true, token: false, key: true },
      ],
      ['deleting the key', (store) => store.deleteKey('id-ann', 'K'), { session: true, token: true, key: false }],
    ];
    for (const [name, withdraw, left] of withdrawals) {
      test(`${name} makes the epoch greater and leaves what it should`, async (t) => {
        const store = await open(t);
        await store.addCredential(credential('s'), 5, {});
        await store.addCredential(credential('t', { kind: 'token' }), 5, {});
        await store.addKey(key('K'), 5, {});
        const before = await epochOf(store);
        await withdraw(store);
        assert.ok((await epochOf(store)) > before);
        assert.deepEqual(
          {
            session: (await store.findCredential('hash-s')) !== undefined,
            token: (await store.findCredential('hash-t')) !== undefined,
            key: (await store.findKey('K')) !== undefined,
          },
          left,
        );
      });
    }

    test('credentials and keys come back as they went in, with their user', async (t) => {
      const store = await open(t);
      const token = credential('t', {
        kind: 'token',
        name: 'laptop',
        scopes: ['data:read', 'data:write'],
        expireTimeMs: undefined,
      });
      await store.addCredential(token, 5, {});
      await store.addKey(key('K'), 5, {});
      assert.deepEqual(await store.findCredential('hash-t'), { credential: token, user: user('ann') });
      assert.deepEqual(await store.listTokens('id-ann'), [token]);
      assert.deepEqual(await store.listTokens('id-root'), []);
      const found = await store.findKey('K');
      assert.deepEqual([...(found?.key.secret ?? [])], [1, 2]);
      assert.equal(found?.user.name, 'ann');
      assert.equal((await store.listKeys('id-ann')).length, 1);
      assert.equal(await store.hasKeys(), true);
    });

    test('nobody ends what is somebody else’s', async (t) => {
      const store = await open(t);
      await store.addCredential(credential('t', { kind: 'token' }), 5, {});
      await store.addKey(key('K'), 5, {});
      assert.equal(await store.deleteCredential('id-root', 'token', 't'), false);
      assert.equal(await store.deleteCredential('id-ann', 'session', 't'), false);
      assert.equal(await store.deleteKey('id-root', 'K'), false);
    });

    test('a credential is made only while what it is made with holds', async (t) => {
      const store = await open(t);
      await assert.rejects(store.addCredential(credential('s'), 5, { password: 'other' }), isFault('credential_ended'));
      await assert.rejects(store.addCredential(credential('s'), 5, { credential: 'gone' }), isFault('credential_ended'));
      await assert.rejects(store.addKey(key('K', { userId: 'id-nobody' }), 5, {}), isFault('credential_ended'));
      await store.addCredential(credential('s'), 5, { password: 'stored' });
      await store.addKey(key('K'), 5, { credential: 's' });
      await store.updateUser('ann', { isDisabled: true });
      await assert.rejects(store.addCredential(credential('s2'), 5, { password: 'stored' }), isFault('credential_ended'));
      assert.equal((await store.getUser('ann'))?.isDisabled, true);
    });

    test('a password change and sign-ins with the old one leave no session', async (t) => {
      const store = await open(t);
      const logins = Array.from({ length: 5 }, (_, index) =>
        store.addCredential(credential(`s${index}`), 9, { password: 'stored' }).catch(isFault('credential_ended')),
      );
      await Promise.all([...logins.slice(0, 3), store.setPassword('ann', 'new'), ...logins.slice(3)]);
      for (let index = 0; index < 5; index++) assert.equal(await store.findCredential(`hash-s${index}`), undefined);
    });

    test('a session too many ends the oldest, a token too many is refused', async (t) => {
      const store = await open(t);
      for (let index = 1; index <= 4; index++) await store.addCredential(credential(`s${index}`, { createTimeMs: index }), 3, {});
      assert.equal(await store.findCredential('hash-s1'), undefined);
      assert.ok(await store.findCredential('hash-s2'));
      await store.addCredential(credential('t1', { kind: 'token' }), 1, {});
      await assert.rejects(store.addCredential(credential('t2', { kind: 'token' }), 1, {}), isFault('too_many'));
      await store.addKey(key('K'), 1, {});
      await assert.rejects(store.addKey(key('L'), 1, {}), isFault('too_many'));
    });

    test('last use only goes forward; ended sessions are removed, tokens stay', async (t) => {
      const store = await open(t);
      await store.addCredential(credential('used', { expireTimeMs: 1000 }), 9, {});
      await store.addCredential(credential('idle', { expireTimeMs: 1000 }), 9, {});
      await store.addCredential(credential('old', { expireTimeMs: 40, lastUseTimeMs: 30 }), 9, {});
      await store.addCredential(credential('t', { kind: 'token', expireTimeMs: 40 }), 9, {});
      await store.touchCredentials(
        new Map([
          ['used', 30],
          ['gone', 30],
        ]),
      );
      await store.touchCredentials(new Map([['used', 20]]));
      assert.equal((await store.findCredential('hash-used'))?.credential.lastUseTimeMs, 30);
      await store.deleteEndedSessions(50, 25);
      const left = await Promise.all(['used', 'idle', 'old', 't'].map((id) => store.findCredential(`hash-${id}`)));
      assert.deepEqual(
        left.map((found) => found !== undefined),
        [true, false, false, true],
      );
    });

    test('a password is hashed anew only when it is still the same', async (t) => {
      const store = await open(t);
      await store.rehashPassword('id-ann', 'other', 'lost');
      assert.equal((await store.getUser('ann'))?.password, 'stored');
      await store.rehashPassword('id-ann', 'stored', 'stronger');
      assert.equal((await store.getUser('ann'))?.password, 'stronger');
    });
  });
}
