import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Authenticator, Keys, Sessions, Tokens } from '#gen/cellar/identity/v1/credentials_pb.ts';
import { Users } from '#gen/cellar/identity/v1/users_pb.ts';
import { Role } from '#gen/cellar/kernel/v1/options_pb.ts';
import { anybody, type Caller } from '#kernel/calls/caller.ts';
import { Fault } from '#kernel/fault.ts';
import { createLog } from '#kernel/log.ts';
import { temporaryFolder } from '#kernel/testing/engines.ts';
import { startTestPlatform } from '#kernel/testing/platform.ts';
import { edge, password, startIdentity, type TestIdentity } from '../testing.ts';
import { firstLogin } from './first-login.ts';
import { users } from './main.ts';

const isFault =
  (code: string, reason = code) =>
  (error: unknown) => {
    assert.ok(error instanceof Fault, String(error));
    assert.deepEqual([error.code, error.reason], [code, reason], error.message);
    return true;
  };

const dayMs = 24 * 60 * 60_000;
const testClock = () => {
  let nowMs = Date.parse('2026-01-01T00:00:00Z');
  return {
    now: () => nowMs,
    pass: (ms: number) => {
      nowMs += ms;
    },
  };
};

test('the first start makes an administrator, the next finds it', async () => {
  using home = temporaryFolder();
  const file = join(home.path, 'first-login.txt');
  {
    await using platform = await startTestPlatform([{ definition: users, instance: '', plan: {} }], { home: home.path });
    assert.equal(statSync(file).mode & 0o777, 0o600);
    const login = await firstLogin(home.path);
    assert.ok(login && readFileSync(file, 'utf8').includes(login.password));
    const { user } = await platform.client(Sessions, anybody).login(login);
    assert.deepEqual([user?.name, user?.roles], ['admin', [Role.USER, Role.ADMIN]]);
  }
  const content = readFileSync(file, 'utf8');
  await using again = await startTestPlatform([{ definition: users, instance: '', plan: {} }], { home: home.path });
  assert.equal(await firstLogin(home.path), undefined);
  assert.equal(readFileSync(file, 'utf8'), content);
  const admin = { ...edge, roles: [Role.ADMIN] };
  await again.client(Users, admin).setPassword({ name: 'admin', newPassword: 'another one' });
  assert.equal(existsSync(file), false);
});

test('a lost master key stops the start and says so', async () => {
  using home = temporaryFolder();
  const start = () => startTestPlatform([{ definition: users, instance: '', plan: {} }], { home: home.path });
  {
    await using platform = await start();
    const login = await firstLogin(home.path);
    assert.ok(login);
    const { token } = await platform.client(Sessions, anybody).login(login);
    const { caller } = await platform.client(Authenticator, edge).authenticateToken({ token });
    await platform.client(Keys, caller as Caller).createKey({});
  }
  rmSync(join(home.path, 'services', 'cellar.grpc.users', 'master.key'));
  await assert.rejects(start(), isFault('failed_precondition', 'master_key_missing'));
});

test('every way of failing to sign in gets the same answer', async () => {
  await using identity = await startIdentity();
  const { platform, admin } = identity;
  await identity.addUser('ann');
  await platform.client(Users, admin).createUser({ name: 'bob' });
  await identity.addUser('locked');
  await platform.client(Users, admin).updateUser({ name: 'locked', user: { disabled: true } });
  const answers = new Set<string>();
  for (const [name, given] of [
    ['ann', 'wrong password'],
    ['nobody', password],
    ['bob', password],
    ['locked', password],
    ['ann; drop table users', password],
  ] as const) {
    await platform
      .client(Sessions, anybody)
      .login({ name, password: given })
      .then(
        () => assert.fail(`${name} came in`),
        (error: unknown) => {
          const { code, reason, message, hint } = Fault.from(error);
          answers.add(JSON.stringify({ code, reason, message, hint }));
        },
      );
  }
  assert.equal(answers.size, 1, [...answers].join('\n'));
  assert.match([...answers][0] ?? '', /unauthenticated/);
});

test('an unknown name takes as long as a wrong password', async () => {
  const settings = { 'cellar.grpc.users': { passwordMemoryKib: 8192, passwordPasses: 4 } };
  await using identity = await startIdentity({ settings, clock: { now: spread() } });
  const sessions = identity.platform.client(Sessions, anybody);
  const time = async (name: string): Promise<number> => {
    const startMs = performance.now();
    await assert.rejects(sessions.login({ name, password: 'wrong password' }));
    return performance.now() - startMs;
  };
  const known: number[] = [];
  const unknown: number[] = [];
  for (let round = 0; round < 7; round++) {
    known.push(await time('admin'));
    unknown.push(await time('nobody'));
  }
  const median = (values: number[]): number => values.toSorted((a, b) => a - b)[3] ?? 0;
  const ratio = median(unknown) / median(known);
  assert.ok(ratio > 0.5 && ratio < 2, `unknown takes ${ratio} of known`);
});

/** A clock on which every reading is ten minutes later, so that no attempt has to wait. */
function spread(): () => number {
  let nowMs = Date.now();
  return () => {
    nowMs += 10 * 60_000;
    return nowMs;
  };
}

test('guessing is slowed down by name and by origin, and the right password has to wait as well', async () => {
  const clock = testClock();
  await using identity = await startIdentity({ clock });
  await identity.addUser('ann');
  const from = (origin: string) => identity.platform.client(Sessions, { ...anybody, origin });
  for (let attempt = 0; attempt < 5; attempt++) {
    await assert.rejects(from('10.0.0.1').login({ name: 'ann', password: 'wrong' }), isFault('unauthenticated', 'login_failed'));
  }
  await assert.rejects(from('10.0.0.2').login({ name: 'ANN', password }), (error) => {
    assert.ok(isFault('resource_exhausted', 'too_many_attempts')(error));
    assert.equal((error as Fault).retryAfterMs, 1000);
    return true;
  });
  clock.pass(1000);
  await from('10.0.0.2').login({ name: 'Ann', password });
  for (let attempt = 0; attempt < 15; attempt++) {
    await assert.rejects(
      from('10.0.0.1').login({ name: `guess${attempt}`, password: 'wrong' }),
      isFault('unauthenticated', 'login_failed'),
    );
  }
  await assert.rejects(from('10.0.0.1').login({ name: 'ann', password }), isFault('resource_exhausted', 'too_many_attempts'));
  await from('10.0.0.3').login({ name: 'ann', password });
});

test('many sign-ins at once are answered or told to wait, and none gets in by the crowd', async () => {
  await using identity = await startIdentity();
  const sessions = identity.platform.client(Sessions, anybody);
  const outcomes = await Promise.all(
    Array.from({ length: 200 }, (_, index) =>
      sessions.login({ name: `user${index}`, password: 'wrong password' }).then(
        () => 'in',
        (error: unknown) => Fault.from(error).reason,
      ),
    ),
  );
  assert.deepEqual(
    [...new Set(outcomes)].filter((reason) => reason !== 'login_failed' && reason !== 'too_many_waiting'),
    [],
  );
  assert.ok(outcomes.includes('login_failed'));
});

test('sessions end when idle and at the latest after their days; use keeps them', async () => {
  const clock = testClock();
  const settings = { 'cellar.grpc.users': { sessionIdleMinutes: 24 * 60, sessionDays: 10 } };
  await using identity = await startIdentity({ clock, settings });
  const { platform, login } = identity;
  const [used, idle] = await Promise.all([1, 2].map(() => platform.client(Sessions, anybody).login(login)));
  assert.ok(used && idle);
  for (let day = 0; day < 9; day++) {
    clock.pass(dayMs - 1);
    await identity.authenticate(used.token);
  }
  await assert.rejects(identity.authenticate(idle.token), isFault('unauthenticated', 'token_expired'));
  clock.pass(dayMs - 1);
  await identity.authenticate(used.token);
  clock.pass(10);
  await assert.rejects(identity.authenticate(used.token), isFault('unauthenticated', 'token_expired'));
});

test('tokens expire, and are listed without their secret', async () => {
  const clock = testClock();
  await using identity = await startIdentity({ clock });
  const tokens = identity.platform.client(Tokens, identity.admin);
  const { token, info } = await tokens.createToken({ name: 'ci', scopes: ['data:read'], lifetime: { seconds: 60n } });
  assert.deepEqual(info?.scopes, ['data:read']);
  assert.deepEqual((await identity.authenticate(token)).scopes, ['data:read']);
  const listed = await tokens.listTokens({});
  assert.deepEqual(
    listed.tokens.map(({ name, scopes }) => [name, scopes]),
    [['ci', ['data:read']]],
  );
  assert.equal(JSON.stringify(listed, (_, value) => (typeof value === 'bigint' ? `${value}` : value)).includes(token), false);
  clock.pass(60_000);
  await assert.rejects(identity.authenticate(token), isFault('unauthenticated', 'token_expired'));
  const { token: long } = await tokens.createToken({});
  clock.pass(90 * dayMs - 1);
  await identity.authenticate(long);
  clock.pass(1);
  await assert.rejects(identity.authenticate(long), isFault('unauthenticated', 'token_expired'));
});

test('a token makes no credential that may more than itself', async () => {
  await using identity = await startIdentity();
  const { platform, admin } = identity;
  const make = async (scopes: string[]): Promise<Caller> =>
    identity.authenticate((await platform.client(Tokens, admin).createToken({ scopes })).token);
  const narrow = await make(['identity:*', 'data:read']);
  const tokens = platform.client(Tokens, narrow);
  for (const scopes of [[], ['*'], ['data:write'], ['data:*'], ['identity:read', 'fleet:read']]) {
    await assert.rejects(tokens.createToken({ scopes }), isFault('permission_denied', 'scope_exceeded'), scopes.join());
  }
  await tokens.createToken({ scopes: ['identity:write', 'data:read'] });
  const { accessKey } = await platform.client(Keys, narrow).createKey({});
  const { caller } = await platform.client(Authenticator, edge).getKeySecret({ accessKey });
  assert.deepEqual(caller?.scopes, ['data:read']);
  await assert.rejects(
    platform.client(Keys, await make(['identity:*'])).createKey({}),
    isFault('permission_denied', 'scope_exceeded'),
  );
});

test('a password change ends sessions and tokens, and what they would still make', async () => {
  await using identity = await startIdentity();
  const { platform } = identity;
  const ann = await identity.addUser('ann');
  const { token } = await platform.client(Tokens, ann).createToken({});
  await platform.client(Users, ann).setPassword({ name: 'ann', oldPassword: password, newPassword: 'another one' });
  await assert.rejects(identity.authenticate(token), isFault('unauthenticated', 'token_invalid'));
  await assert.rejects(platform.client(Tokens, ann).createToken({}), isFault('unauthenticated', 'credential_ended'));
  await assert.rejects(platform.client(Keys, ann).createKey({}), isFault('unauthenticated', 'credential_ended'));
  await platform.client(Sessions, anybody).login({ name: 'ann', password: 'another one' });
});

test('a stronger setting is taken over at the next sign-in', async () => {
  using home = temporaryFolder();
  const start = (passwordPasses: number) =>
    startIdentityAt(home.path, { 'cellar.grpc.users': { passwordMemoryKib: 64, passwordPasses } });
  let login: { name: string; password: string } | undefined;
  {
    await using platform = await start(1);
    login = await firstLogin(home.path);
    assert.ok(login);
    await platform.client(Sessions, anybody).login(login);
  }
  await using platform = await start(2);
  const database = await platform.surroundings.openDatabase('cellar.grpc.users', {});
  const stored = async () => (await database.get<{ password: string }>('select password from users'))?.password ?? '';
  assert.match(await stored(), /t=1,/);
  await platform.client(Sessions, anybody).login(login);
  assert.match(await stored(), /t=2,/);
  await platform.client(Sessions, anybody).login(login);
  await database.close();
});

const startIdentityAt = (home: string, settings: Record<string, Record<string, unknown>>) =>
  startTestPlatform([{ definition: users, instance: '', plan: {} }], { home, settings });

type Who = 'anybody' | 'ann' | 'admin' | 'narrow' | 'service';
type Try = (identity: TestIdentity, caller: Caller) => Promise<unknown>;

/** Who may what; all others are refused. */
const permissions: readonly [string, readonly Who[], Try][] = [
  ['list users', ['admin'], ({ platform }, caller) => platform.client(Users, caller).listUsers({})],
  ['show a user', ['admin'], ({ platform }, caller) => platform.client(Users, caller).getUser({ name: 'ann' })],
  [
    'create a user',
    ['admin'],
    ({ platform }, caller) => platform.client(Users, caller).createUser({ name: `new-${caller.id.toLowerCase()}` }),
  ],
  [
    'change a user',
    ['admin'],
    ({ platform }, caller) => platform.client(Users, caller).updateUser({ name: 'ann', user: { displayName: 'A' } }),
  ],
  ['delete a user', ['admin'], async ({ platform }, caller) => platform.client(Users, caller).deleteUser({ name: 'victim' })],
  [
    'set somebody’s password',
    ['admin'],
    ({ platform }, caller) =>
      platform.client(Users, caller).setPassword({ name: 'bob', newPassword: 'changed it', oldPassword: password }),
  ],
  ['see who they are', ['ann', 'admin', 'narrow'], ({ platform }, caller) => platform.client(Sessions, caller).getMe({})],
  ['list tokens', ['ann', 'admin'], ({ platform }, caller) => platform.client(Tokens, caller).listTokens({})],
  ['make a token', ['ann', 'admin'], ({ platform }, caller) => platform.client(Tokens, caller).createToken({})],
  ['list keys', ['ann', 'admin'], ({ platform }, caller) => platform.client(Keys, caller).listKeys({})],
  ['make a key', ['ann', 'admin'], ({ platform }, caller) => platform.client(Keys, caller).createKey({})],
];

test('who may what', async (t) => {
  await using identity = await startIdentity();
  const { platform, admin } = identity;
  const ann = await identity.addUser('ann');
  await identity.addUser('bob');
  await identity.addUser('victim');
  const narrow = await identity.authenticate((await platform.client(Tokens, admin).createToken({ scopes: ['data:read'] })).token);
  const callers: Readonly<Record<Who, Caller>> = { anybody, ann, admin, narrow, service: edge };
  for (const [what, allowed, attempt] of permissions) {
    for (const [who, caller] of Object.entries(callers)) {
      const isAllowed = allowed.includes(who as Who);
      await t.test(`${who} may ${isAllowed ? '' : 'not '}${what}`, async () => {
        if (isAllowed) await attempt(identity, caller);
        else
          await assert.rejects(attempt(identity, caller), (error) =>
            isFault(who === 'anybody' ? 'unauthenticated' : 'permission_denied', Fault.from(error).reason)(error),
          );
      });
    }
  }
});

test('users see and end only what is theirs', async () => {
  await using identity = await startIdentity();
  const { platform, admin } = identity;
  const ann = await identity.addUser('ann');
  const { info } = await platform.client(Tokens, admin).createToken({});
  const { accessKey } = await platform.client(Keys, admin).createKey({});
  assert.deepEqual((await platform.client(Tokens, ann).listTokens({})).tokens, []);
  assert.deepEqual((await platform.client(Keys, ann).listKeys({})).keys, []);
  await assert.rejects(platform.client(Tokens, ann).deleteToken({ id: info?.id ?? '' }), isFault('not_found', 'token_missing'));
  await assert.rejects(platform.client(Keys, ann).deleteKey({ accessKey }), isFault('not_found', 'key_missing'));
});

test('users are listed in pages, whatever is added meanwhile', async () => {
  await using identity = await startIdentity();
  const client = identity.platform.client(Users, identity.admin);
  for (const name of ['ann', 'bob', 'cat', 'dan']) await client.createUser({ name });
  const seen: string[] = [];
  let pageToken = '';
  do {
    const page = await client.listUsers({ pageSize: 2, pageToken });
    seen.push(...page.users.map(({ name }) => name));
    pageToken = page.nextPageToken;
    if (seen.length === 2) await client.createUser({ name: 'aaron' });
  } while (pageToken);
  assert.deepEqual(seen, ['admin', 'ann', 'bob', 'cat', 'dan']);
  await assert.rejects(client.listUsers({ pageToken: 'x' }), isFault('invalid_argument', 'page_token_invalid'));
});

test('short passwords are refused, and the old one is asked for', async () => {
  await using identity = await startIdentity();
  const { platform, admin } = identity;
  const ann = await identity.addUser('ann');
  await assert.rejects(
    platform.client(Users, admin).createUser({ name: 'x', password: 'short' }),
    isFault('invalid_argument', 'password_short'),
  );
  const set = (oldPassword: string) =>
    platform.client(Users, ann).setPassword({ name: 'ann', newPassword: 'long enough', oldPassword });
  await assert.rejects(set(''), isFault('permission_denied', 'old_password_wrong'));
  for (let attempt = 0; attempt < 4; attempt++)
    await assert.rejects(set('wrong'), isFault('permission_denied', 'old_password_wrong'));
  await assert.rejects(set(password), isFault('resource_exhausted', 'too_many_attempts'));
});

test('nothing that is logged or kept shows a secret', async () => {
  using home = temporaryFolder();
  const lines: string[] = [];
  const log = createLog({ level: 'debug', write: (line) => lines.push(line) });
  const secrets: string[] = [];
  {
    await using identity = await startIdentity({ log, home: home.path });
    const { platform, admin, login } = identity;
    const { token } = await platform.client(Tokens, admin).createToken({ name: 'ci' });
    const { accessKey, secretKey } = await platform.client(Keys, admin).createKey({});
    const { token: session } = await platform.client(Sessions, anybody).login(login);
    await assert.rejects(platform.client(Sessions, anybody).login({ name: 'admin', password: 'a wrong password' }));
    await assert.rejects(identity.authenticate(`${token}x`));
    await platform.client(Authenticator, edge).getKeySecret({ accessKey });
    secrets.push(login.password, token, secretKey, session, 'a wrong password');
  }
  assert.ok(lines.length > 0);
  const kept = readFileSync(join(home.path, 'cellar.grpc.users.db')).toString('latin1');
  for (const secret of secrets) {
    assert.equal(lines.join('').includes(secret), false, 'in the log');
    assert.equal(kept.includes(secret), false, 'in the database');
  }
});
