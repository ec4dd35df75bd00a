import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Decisions, Policies, PolicyStore } from '#gen/cellar/identity/v1/policies_pb.ts';
import { anybody, type Caller } from '#kernel/calls/caller.ts';
import { Fault } from '#kernel/fault.ts';
import { until } from '#kernel/testing/engines.ts';
import { startTestPlatform } from '#kernel/testing/platform.ts';
import { policyStore } from '../policies/main.ts';
import { edge, startIdentity } from '../testing.ts';
import { defaultPolicies, putDefaultPolicies } from './logic/default-policies.ts';

const isFault =
  (code: string, reason = code) =>
  (error: unknown) => {
    assert.ok(error instanceof Fault, String(error));
    assert.deepEqual([error.code, error.reason], [code, reason], error.message);
    return true;
  };

/** Action, resource, and who may by the default policies. */
const defaults: readonly [string, string, readonly ('anybody' | 'ann' | 'admin')[]][] = [
  ['identity:write', 'call/cellar.identity.v1.Sessions/Login', ['anybody', 'ann', 'admin']],
  ['identity:write', 'call/cellar.identity.v1.Sessions/Logout', ['ann', 'admin']],
  ['*', 'call/cellar.identity.v1.Sessions/GetMe', ['ann', 'admin']],
  ['identity:write', 'call/cellar.identity.v1.Tokens/CreateToken', ['ann', 'admin']],
  ['identity:write', 'call/cellar.identity.v1.Users/SetPassword', ['ann', 'admin']],
  ['data:read', 'call/cellar.data.v1.Tree/List', ['ann', 'admin']],
  ['data:read', 'data/docs/a', ['admin']],
  ['data:read', 'data', ['admin']],
  ['data:write', 'data/docs/a', ['admin']],
];

test('what the default policies allow', async (t) => {
  await using identity = await startIdentity();
  const callers: Readonly<Record<'anybody' | 'ann' | 'admin', Caller>> = {
    anybody,
    ann: await identity.addUser('ann'),
    admin: identity.admin,
  };
  const decisions = identity.platform.client(Decisions, edge);
  for (const [action, resource, allowed] of defaults) {
    for (const who of ['anybody', 'ann', 'admin'] as const) {
      await t.test(`${who}: ${action} on ${resource}`, async () => {
        const decision = await decisions.decide({ caller: toMessage(callers[who]), action, resource });
        assert.equal(decision.allowed, allowed.includes(who), decision.explanation);
        assert.equal(decision.policies.length > 0, decision.allowed);
      });
    }
  }
});

const toMessage = ({ id, name, roles, scopes }: Caller) => ({ id, name, roles: [...roles], scopes: [...scopes] });

test('a policy is in force when it has been set, and out of force when it has been removed', async () => {
  await using identity = await startIdentity();
  const { platform, admin } = identity;
  await identity.addUser('ann');
  const policies = platform.client(Policies, admin);
  const ask = () => policies.testPolicies({ user: 'ann', action: 'data:read', resource: 'data/docs/reports/q1.pdf' });
  assert.deepEqual([(await ask()).allowed, (await ask()).explanation], [false, 'Denied: no policy allows it.']);

  const text = 'permit(principal in Role::"user", action == Action::"data:read", resource in Path::"docs/reports");';
  const set = await policies.setPolicy({ policy: { id: 'reports', description: 'Everybody reads reports.', text } });
  assert.deepEqual([(await ask()).allowed, (await ask()).policies], [true, ['reports']]);
  assert.deepEqual(await policies.showPolicy({ id: 'reports' }), set);

  const forbidding = 'forbid(principal, action, resource in Path::"docs") when { principal.name like "an*" };';
  await policies.setPolicy({ policy: { id: 'not-ann', text: forbidding } });
  assert.deepEqual((await ask()).explanation, 'Forbidden by policy "not-ann".');
  await policies.removePolicy({ id: 'not-ann' });
  assert.equal((await ask()).allowed, true);

  await assert.rejects(policies.setPolicy({ policy: { id: 'reports', text, etag: 'v1' } }), isFault('aborted', 'etag_mismatch'));
  await assert.rejects(
    policies.setPolicy({ policy: { id: 'reports', text, etag: 'x' } }),
    isFault('invalid_argument', 'etag_invalid'),
  );
  await policies.setPolicy({ policy: { id: 'reports', text, etag: set.etag } });
  await policies.removePolicy({ id: 'reports' });
  assert.equal((await ask()).allowed, false);
  await assert.rejects(policies.removePolicy({ id: 'reports' }), isFault('not_found'));
  await assert.rejects(policies.showPolicy({ id: 'reports' }), isFault('not_found'));
});

test('text that is not Cedar changes nothing', async () => {
  await using identity = await startIdentity();
  const policies = identity.platform.client(Policies, identity.admin);
  const before = await policies.browsePolicies({});
  await assert.rejects(
    policies.setPolicy({ policy: { id: 'users', text: 'permit(principal,\n action, resourc);' } }),
    (error) => {
      assert.ok(isFault('invalid_argument', 'policy_invalid')(error));
      assert.match((error as Fault).message, /line 2, column 10/);
      return true;
    },
  );
  assert.deepEqual(await policies.browsePolicies({}), before);
});

test('nobody is locked out', async () => {
  await using identity = await startIdentity();
  const policies = identity.platform.client(Policies, identity.admin);
  const set = (text: string) => policies.setPolicy({ policy: { id: 'locking', text } });
  for (const text of [
    'forbid(principal, action, resource);',
    'forbid(principal in Role::"admin", action, resource);',
    'forbid(principal, action, resource in Contract::"cellar.identity.v1.Policies");',
    'forbid(principal, action, resource) when { principal.name == "admin" };',
    'forbid(principal is Anybody, action, resource);',
  ]) {
    await assert.rejects(set(text), isFault('failed_precondition', 'lock_out'), text);
  }
  await assert.rejects(policies.removePolicy({ id: 'sign-in' }), isFault('failed_precondition', 'lock_out'));
  await set('forbid(principal, action, resource in Path::"docs/private");');
  // Each of the two permits administrators to change policies: either may go, not both, also not at once.
  const outcomes = await Promise.allSettled([
    policies.removePolicy({ id: 'administrators' }),
    policies.removePolicy({ id: 'users' }),
  ]);
  assert.deepEqual(outcomes.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected']);
});

test('only administrators see and change policies, only services ask for decisions', async () => {
  await using identity = await startIdentity();
  const { platform, admin } = identity;
  const ann = await identity.addUser('ann');
  for (const caller of [ann, edge, anybody]) {
    const policies = platform.client(Policies, caller);
    const refused = (error: unknown): boolean =>
      isFault(caller === anybody ? 'unauthenticated' : 'permission_denied', Fault.from(error).reason)(error);
    await assert.rejects(policies.browsePolicies({}), refused);
    await assert.rejects(policies.showPolicy({ id: 'users' }), refused);
    await assert.rejects(policies.setPolicy({ policy: { id: 'x', text: 'permit(principal, action, resource);' } }), refused);
    await assert.rejects(policies.removePolicy({ id: 'users' }), refused);
    await assert.rejects(policies.testPolicies({ user: 'ann', action: 'data:read', resource: 'data' }), refused);
  }
  await assert.rejects(
    platform.client(Decisions, admin).decide({ caller: toMessage(ann), action: 'data:read', resource: 'data' }),
    isFault('permission_denied', 'role_missing'),
  );
});

test('watchers are told of a version once it decides', async () => {
  await using identity = await startIdentity();
  const { platform, admin } = identity;
  const ann = await identity.addUser('ann');
  const decisions = platform.client(Decisions, edge);
  const stopping = new AbortController();
  const watch = decisions.watchVersion({}, { signal: stopping.signal })[Symbol.asyncIterator]();
  const first = await watch.next();
  assert.equal(first.value?.version, BigInt(defaultPolicies.length));
  await platform
    .client(Policies, admin)
    .setPolicy({ policy: { id: 'open', text: 'permit(principal, action, resource is Path);' } });
  const second = await watch.next();
  assert.equal(second.value?.version, BigInt(defaultPolicies.length + 1));
  assert.equal((await decisions.decide({ caller: toMessage(ann), action: 'data:read', resource: 'data/x' })).allowed, true);
  stopping.abort();
  await assert.rejects(watch.next(), isFault('canceled'));
});

test('what changes in the store behind its back is followed, and what cannot be read allows nothing', async () => {
  await using identity = await startIdentity();
  const { platform, admin } = identity;
  const ann = await identity.addUser('ann');
  const store = platform.client(PolicyStore, edge);
  const decisions = platform.client(Decisions, edge);
  const outcome = (caller: Caller): Promise<string> =>
    decisions.decide({ caller: toMessage(caller), action: 'data:read', resource: 'data/x' }).then(
      ({ allowed }) => (allowed ? 'allowed' : 'denied'),
      (error: unknown) => Fault.from(error).reason,
    );
  await store.putPolicy({ policy: { id: 'open', text: 'permit(principal, action, resource is Path);' } });
  await until(async () => (await outcome(ann)) === 'allowed');
  await store.putPolicy({ policy: { id: 'open', text: 'permit(' } });
  await until(async () => (await outcome(admin)) === 'policy_broken');
  await platform.client(Policies, admin).removePolicy({ id: 'open' });
  await until(async () => (await outcome(admin)) === 'allowed');
  assert.equal(await outcome(ann), 'denied');
});

test('default policies are put once; an interrupted start goes on, a removed one stays away', async () => {
  await using platform = await startTestPlatform([{ definition: policyStore, instance: '', plan: {} }]);
  const store = platform.client(PolicyStore, edge);
  const { signal } = new AbortController();
  const ids = async () => (await store.listPolicies({})).policies.map(({ id }) => id);
  await store.putPolicy({ policy: defaultPolicies[0] });
  await putDefaultPolicies(store, signal);
  const all = defaultPolicies.map(({ id }) => id).toSorted();
  assert.deepEqual(await ids(), all);
  await store.deletePolicy({ id: 'users' });
  await putDefaultPolicies(store, signal);
  assert.deepEqual(
    await ids(),
    all.filter((id) => id !== 'users'),
  );
});
