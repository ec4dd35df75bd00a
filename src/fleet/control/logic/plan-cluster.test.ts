import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ClusterRecord, ObservedMember } from './model.ts';
import { type PlanLimits, planCluster } from './plan-cluster.ts';

const limits: PlanLimits = {
  ...{ buildMsMax: 60_000, graceMs: 10_000, failuresMax: 3, successesMin: 2, everyMs: 5000, soonMs: 200 },
  repair: { firstMs: 1000, maxMs: 60_000 },
};
const used: ClusterRecord = {
  ...{ name: 'c', host: 'h', incarnation: 1, desired: 'running', claim: 'ann', isRecycling: false, restarts: 0, restarted: 0 },
  members: [
    { name: 'execution', role: 'execution', after: [] },
    { name: 'beacon', role: 'beacon', after: ['execution'] },
  ],
  ...{ state: 'ready', health: 'ok', conditions: [], sinceMs: 0, readyMs: 20_000, failures: 0, successes: 9 },
  ...{ repairs: 0, repairAfterMs: 0 },
};
const seen = (member: string, state: ObservedMember['state']): ObservedMember => ({ incarnation: 1, member, state, message: '' });

test('a member that was started again has its time to answer before all are', () => {
  const killedMs = 1_000_000;
  const lost = { health: 'failed', reason: 'Silent', message: 'beacon does not answer' } as const;
  const look = (cluster: ClusterRecord, beacon: ObservedMember['state'], nowMs: number) => {
    const members = [seen('execution', 'running'), seen('beacon', beacon)];
    const observation = { members, leftovers: [] };
    const { actions, changes } = planCluster({ cluster, observation, verdict: lost, nowMs, limits, mayRebuild: true });
    return { actions, cluster: { ...cluster, ...changes } };
  };
  let { actions, cluster } = look(used, 'exited', killedMs);
  assert.deepEqual(
    actions.map(({ kind }) => kind),
    ['start'],
  );
  for (let nowMs = killedMs + 200; nowMs < killedMs + limits.graceMs; nowMs += 200) {
    ({ actions, cluster } = look(cluster, 'running', nowMs));
    assert.deepEqual(actions, [], `${nowMs - killedMs} ms after it was started again`);
  }
  ({ actions } = look(cluster, 'running', killedMs + limits.graceMs));
  assert.deepEqual(
    actions.map(({ kind }) => kind),
    ['stop'],
  );
});

test('members that are made one after another, as after a restore, are one repair; one that ends is another', () => {
  const names = ['first', 'second', 'third'];
  const members = names.map((name, at) => ({ name, role: name, after: names.slice(0, at) }));
  let cluster: ClusterRecord = { ...used, members };
  const look = (up: readonly string[], down: readonly string[], nowMs: number) => {
    const found = [...up.map((name) => seen(name, 'running')), ...down.map((name) => seen(name, 'exited'))];
    const observation = { members: found, leftovers: [] };
    const { actions, changes } = planCluster({ cluster, observation, verdict: undefined, nowMs, limits, mayRebuild: true });
    cluster = { ...cluster, ...changes };
    return actions.flatMap((action) => (action.kind === 'create' || action.kind === 'start' ? action.members : []));
  };
  for (const [at, name] of names.entries()) {
    assert.deepEqual(look(names.slice(0, at), [], 1_000_000 + at * 3000), [name]);
    assert.equal(cluster.repairs, 1);
  }
  assert.deepEqual(look(['first', 'second'], ['third'], 1_008_000), ['third']);
  assert.equal(cluster.repairs, 2);
  const endMs = 1_008_000 + limits.graceMs;
  assert.deepEqual(look(['first', 'second'], [], endMs), ['third'], 'what is still not there is tried again');
  assert.equal(cluster.repairs, 3);
});
