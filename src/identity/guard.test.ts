import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Authenticator, Keys, Sessions, Tokens } from '#gen/cellar/identity/v1/credentials_pb.ts';
import { Policies } from '#gen/cellar/identity/v1/policies_pb.ts';
import { Users } from '#gen/cellar/identity/v1/users_pb.ts';
import { Role } from '#gen/cellar/kernel/v1/options_pb.ts';
import { anybody, type Caller, serviceCaller } from '#kernel/calls/caller.ts';
import { Fault } from '#kernel/fault.ts';
import { createGuard, type Guard } from '#kernel/guard/guard.ts';
import { createLog, type Log, silentLog } from '#kernel/log.ts';
import type { Micro } from '#kernel/services/service.ts';
import { until } from '#kernel/testing/engines.ts';
import { edge, startIdentity, type TestIdentity } from './testing.ts';

const isFault =
  (code: string, message = /./) =>
  (error: unknown) => {
    assert.ok(error instanceof Fault, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    return true;
  };

interface TestGuard extends Guard {
  /** How often it has asked for a caller or a decision. */
  readonly asked: () => number;
}

/** A guard as an edge has it. */
function guardOf(
  identity: TestIdentity,
  t: { after: (fn: () => void) => void },
  { clock = Date, log = silentLog }: { readonly clock?: { now(): number }; readonly log?: Log } = {},
): TestGuard {
  const stopping = new AbortController();
  t.after(() => stopping.abort());
  let asked = 0;
  const client: Micro['client'] = (desc) =>
    new Proxy(identity.platform.client(desc, edge), {
      get: (target, name, receiver) => {
        if (name === 'authenticateToken' || name === 'decide') asked++;
        return Reflect.get(target, name, receiver);
      },
    });
  return { ...createGuard({ client, clock, log, signal: stopping.signal }, { graceMs: 10_000 }), asked: () => asked };
}

/** Nothing kept yet, or what is kept has been dropped: resolves when a withdrawn token is refused. */
const refused = (guard: Guard, token: string): Promise<void> =>
  until(async () => {
    const outcome = await guard.authenticate(token).then(
      () => 'in',
      (error: unknown) => Fault.from(error).code,
    );
    return outcome === 'unauthenticated';
  });

test('what is known lets in without asking, until it is withdrawn', async (t) => {
  await using identity = await startIdentity();
  const guard = guardOf(identity, t);
  const { platform, admin } = identity;
  const ann = await identity.addUser('ann');
  const { token, info } = await platform.client(Tokens, ann).createToken({});
  const mayRead = guard.knownAllowed('data:read', 'data/docs/a.txt');
  assert.equal(guard.knownCaller(token, '203.0.113.7'), undefined);

  const policy = { id: 'docs', text: 'permit(principal, action == Action::"data:read", resource in Path::"docs");' };
  await platform.client(Policies, admin).setPolicy({ policy });
  const known = async (): Promise<Caller | undefined> => {
    const caller = await guard.authenticate(token, '203.0.113.7');
    await guard.assertAllowed(caller, 'data:read', 'data/docs/a.txt');
    return guard.knownCaller(token, '203.0.113.7');
  };
  let caller: Caller | undefined;
  // Answers are kept once the watches are up.
  await until(async () => {
    caller = await known();
    return caller !== undefined && mayRead(caller);
  });
  assert.ok(caller);
  assert.equal(caller.origin, '203.0.113.7');
  assert.equal(mayRead({ ...caller, scopes: ['identity:read'] }), false);
  assert.equal(mayRead({ ...caller, id: 'somebody else' }), false);

  await platform.client(Policies, admin).removePolicy({ id: 'docs' });
  await until(() => caller !== undefined && !mayRead(caller));
  await platform.client(Tokens, ann).deleteToken({ id: info?.id ?? '' });
  await until(() => guard.knownCaller(token, '203.0.113.7') === undefined);
});

test('tokens stand for callers until they are withdrawn', async (t) => {
  await using identity = await startIdentity();
  const guard = guardOf(identity, t);
  const { platform, admin } = identity;
  const ann = await identity.addUser('ann');
  const token = async (caller: Caller): Promise<string> => (await platform.client(Tokens, caller).createToken({})).token;

  const first = await token(ann);
  const caller = await guard.authenticate(first, '203.0.113.7');
  assert.deepEqual([caller.name, caller.roles, caller.scopes, caller.origin], ['ann', [Role.USER], ['*'], '203.0.113.7']);
  assert.equal((await guard.authenticate(first)).origin, undefined);
  const { tokens } = await platform.client(Tokens, ann).listTokens({});
  await platform.client(Tokens, ann).deleteToken({ id: tokens[0]?.id ?? '' });
  await refused(guard, first);

  const second = await token(ann);
  await guard.authenticate(second);
  await platform.client(Users, admin).updateUser({ name: 'ann', user: { disabled: true } });
  await refused(guard, second);
  await platform.client(Users, admin).updateUser({ name: 'ann', user: {}, updateMask: { paths: ['disabled'] } });
  await until(() =>
    guard.authenticate(second).then(
      () => true,
      () => false,
    ),
  );

  await platform.client(Users, admin).updateUser({ name: 'ann', user: { roles: [Role.USER, Role.ADMIN] } });
  await until(async () => (await guard.authenticate(second)).roles.includes(Role.ADMIN));

  await platform.client(Users, admin).deleteUser({ name: 'ann' });
  await refused(guard, second);
});

test('forged, changed, empty and huge tokens are refused', async (t) => {
  await using identity = await startIdentity();
  const guard = guardOf(identity, t);
  const { token } = await identity.platform.client(Tokens, identity.admin).createToken({});
  await guard.authenticate(token);
  const last = token.at(-1) === 'a' ? 'b' : 'a';
  for (const forged of [
    token.slice(0, -1) + last,
    token.slice(0, -1),
    `${token} `,
    token.toLowerCase(),
    `cellar_${'A'.repeat(32)}`,
    "' or 1=1",
  ]) {
    await assert.rejects(guard.authenticate(forged), isFault('unauthenticated'), forged);
  }
  await assert.rejects(guard.authenticate(''));
  await assert.rejects(guard.authenticate('x'.repeat(100_000)));
});

test('keys give their secret until they are withdrawn', async (t) => {
  await using identity = await startIdentity();
  const guard = guardOf(identity, t);
  const ann = await identity.addUser('ann');
  const keys = identity.platform.client(Keys, ann);
  const { accessKey, secretKey } = await keys.createKey({ name: 'laptop' });
  const found = await guard.keySecret(accessKey);
  assert.equal(found?.secret, secretKey);
  assert.deepEqual([found?.caller.name, found?.caller.scopes], ['ann', ['data:*']]);
  assert.equal(await guard.keySecret('CELLARAAAAAAAAAAAAAA'), undefined);
  assert.equal(await guard.keySecret(''), undefined);
  await keys.deleteKey({ accessKey });
  await until(async () => (await guard.keySecret(accessKey)) === undefined);
});

test('scopes and policies decide, and a refusal says who, what and on what', async (t) => {
  await using identity = await startIdentity();
  const guard = guardOf(identity, t);
  const { admin, platform } = identity;
  const ann = await identity.addUser('ann');
  await guard.assertAllowed(admin, 'data:write', 'data/docs/a');
  await guard.assertAllowed(serviceCaller('cellar.rest.tree'), 'data:write', 'data/docs/a');
  await guard.assertAllowed(ann, 'identity:read', 'call/cellar.identity.v1.Tokens/ListTokens');
  await guard.assertAllowed(anybody, 'identity:write', 'call/cellar.identity.v1.Sessions/Login');
  await assert.rejects(guard.assertAllowed(anybody, 'data:read', 'data/docs/a'), isFault('unauthenticated'));
  await assert.rejects(
    guard.assertAllowed(ann, 'data:read', 'data/docs/a'),
    isFault('permission_denied', /^ann may not data:read on data\/docs\/a: no policy allows it$/),
  );
  await assert.rejects(
    guard.assertAllowed({ ...admin, scopes: ['data:read'] }, 'data:write', 'data/docs/a'),
    isFault('permission_denied', /scope "data:write"/),
  );
  await assert.rejects(guard.assertAllowed(ann, 'data:read', 'data/docs/../secret'), isFault('invalid_argument'));

  const policies = platform.client(Policies, admin);
  const text = 'permit(principal, action == Action::"data:read", resource in Path::"docs") when { principal.name == "ann" };';
  const { etag } = await policies.setPolicy({ policy: { id: 'docs-for-ann', text } });
  const isOpen = (): Promise<boolean> =>
    guard.assertAllowed(ann, 'data:read', 'data/docs/a').then(
      () => true,
      () => false,
    );
  await until(isOpen);
  await assert.rejects(guard.assertAllowed(ann, 'data:write', 'data/docs/a'), isFault('permission_denied'));
  await policies.removePolicy({ id: 'docs-for-ann', etag });
  await until(async () => !(await isOpen()));
});

test('ids are names of users', async (t) => {
  await using identity = await startIdentity();
  const guard = guardOf(identity, t);
  const ann = await identity.addUser('ann');
  assert.deepEqual(await guard.findUser(ann.id), { id: ann.id, name: 'ann' });
  assert.equal(await guard.findUser('nobody'), undefined);
  assert.equal(await guard.findUser(''), undefined);
  assert.equal(await guard.findUser('x'.repeat(200)), undefined);
});

test('what is forbidden is told from what no policy speaks of', async (t) => {
  await using identity = await startIdentity();
  const guard = guardOf(identity, t);
  const { admin, platform } = identity;
  const ann = await identity.addUser('ann');
  const text = 'forbid(principal, action, resource in Path::"docs/secret");';
  await platform.client(Policies, admin).setPolicy({ policy: { id: 'secret', text } });
  const kind = async (...question: Parameters<typeof guard.verdict>): Promise<string> => (await guard.verdict(...question)).kind;
  await until(async () => (await kind(admin, 'data:read', 'data/docs/secret/a')) === 'forbidden');
  assert.equal(await kind(admin, 'data:read', 'data/docs/a'), 'allowed');
  assert.equal(await kind(admin, 'data:read', 'data/docs', 'with_all_below'), 'forbidden');
  assert.equal(await kind(ann, 'data:read', 'data/docs/a'), 'undecided');
  assert.equal(await kind({ ...admin, scopes: ['data:read'] }, 'data:write', 'data/docs/a'), 'forbidden');
  assert.equal(await kind(anybody, 'data:read', 'data/docs/a'), 'undecided');
  assert.equal(await kind(anybody, 'data:read', 'data/docs/secret'), 'forbidden');
  await until(async () => {
    await guard.verdict(admin, 'data:read', 'data/docs/a');
    return guard.knownVerdict(admin, 'data:read', 'data/docs/a')?.kind === 'allowed';
  });
  assert.equal(guard.knownVerdict(admin, 'data:read', 'data/docs/never-asked'), undefined);
});

/** Resolves when the answers to a request are kept. */
const kept = (guard: TestGuard, request: () => Promise<void>): Promise<void> =>
  until(async () => {
    const before = guard.asked();
    await request();
    return guard.asked() === before;
  });

test('a request costs no call while nothing changes', async (t) => {
  await using identity = await startIdentity();
  const guard = guardOf(identity, t);
  const { token } = await identity.platform.client(Tokens, identity.admin).createToken({});
  const request = async (): Promise<void> => guard.assertAllowed(await guard.authenticate(token), 'data:read', 'data/docs/a');
  await kept(guard, request);
  const before = guard.asked();
  for (let index = 0; index < 100; index++) await request();
  assert.equal(guard.asked(), before);
});

test('without the identity services what was answered lately serves a short while, then nothing is let in', async (t) => {
  await using identity = await startIdentity();
  let nowMs = Date.now();
  let lost = 0;
  const log = createLog({
    level: 'warn',
    write: () => {
      lost++;
    },
  });
  const guard = guardOf(identity, t, { clock: { now: () => nowMs }, log });
  const { platform, admin } = identity;
  const { token } = await platform.client(Tokens, admin).createToken({});
  const stranger = (await platform.client(Tokens, admin).createToken({})).token;
  const request = async (given: string, path = 'a'): Promise<void> =>
    guard.assertAllowed(await guard.authenticate(given), 'data:read', `data/docs/${path}`);
  await kept(guard, () => request(token));
  await platform.stop();
  await until(() => lost === 2); // Of credentials and of policies.
  await request(token);
  await assert.rejects(request(stranger), isFault('unavailable'));
  await assert.rejects(request(token, 'b'), isFault('unavailable'));
  nowMs += 10_000;
  await assert.rejects(request(token), isFault('unavailable'));
});

test('a session’s sign-out ends it and no other', async (t) => {
  await using identity = await startIdentity();
  const guard = guardOf(identity, t);
  const { platform, login } = identity;
  const [one, other] = await Promise.all([1, 2].map(() => platform.client(Sessions, anybody).login(login)));
  assert.ok(one && other);
  const caller = await guard.authenticate(one.token);
  await guard.authenticate(other.token);
  await platform.client(Sessions, caller).logout({});
  await refused(guard, one.token);
  await guard.authenticate(other.token);
  await platform.client(Sessions, caller).logout({});
});

test('only services may ask who a token stands for', async () => {
  await using identity = await startIdentity();
  const { platform, admin } = identity;
  await assert.rejects(platform.client(Authenticator, admin).getKeySecret({ accessKey: 'x' }), isFault('permission_denied'));
});
