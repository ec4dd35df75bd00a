import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { AgentType } from '#gen/cellar/fleet/v1/hosts_pb.ts';
import { Fault } from '#kernel/fault.ts';
import { until } from '#kernel/testing/engines.ts';
import { type FleetPlatform, operator, startFleet, userNamed } from './testing/fleet-platform.ts';

const patienceMs = 60_000;
const [waits, blueprint] = [{ waitSeconds: 60 }, 'evm-dev'];
const withReason = (reason: string) => (error: unknown) => Fault.from(error).reason === reason;
const labelled = (labels: string, host = '') => ({ labels, host });

/** Two hosts: `a` in zone a with much room, `b` in zone b, each with one free cluster. */
async function twoZones(t: TestContext): Promise<FleetPlatform> {
  const fleet = await startFleet(t);
  const { hosts, clusters } = fleet.as(operator);
  for (const [name, capacity] of [
    ['a', 9],
    ['b', 3],
  ] as const) {
    const spec = { type: AgentType.SIMULATED, capacity, labels: { zone: name, tier: 'any' } };
    await hosts.createHost({ host: { name, spec } });
    await clusters.createCluster({ host: name, blueprint, labels: name === 'b' ? { tier: 'gold' } : {} });
  }
  await until(async () => (await hosts.listHosts({})).hosts.every(({ status }) => status?.free === 1), patienceMs);
  return fleet;
}

test('a selector asks for labels of the cluster or of its host; the first that any cluster fits counts', async (t) => {
  const fleet = await twoZones(t);
  const { engine } = fleet.as(userNamed('ann'));
  await assert.rejects(engine.apply({ blueprint, selectors: [labelled('zone=c')] }), withReason('no_match'));
  await assert.rejects(engine.apply({ blueprint, selectors: [labelled('zone=b,tier=any')] }), withReason('no_match'));
  await assert.rejects(engine.apply({ blueprint, selectors: [labelled('zone=b', 'a')] }), withReason('no_match'));
  const gold = await engine.apply({ blueprint, selectors: [labelled('zone=c'), labelled('tier=gold'), labelled('zone=a')] });
  assert.equal(gold.cluster?.host, 'b');
  const own = await engine.apply({ blueprint, selectors: [labelled('zone=b')] });
  assert.equal(own.id, gold.id, 'what one has in that place is what one gets');
  const other = { blueprint, allowMultiple: true };
  await assert.rejects(engine.apply({ ...other, selectors: [labelled('zone=b')] }), withReason('none_free'));
  assert.equal((await engine.apply({ blueprint, selectors: [labelled('zone=a')] })).cluster?.host, 'a');
});

test('what is built on demand is built where the selectors want it, in their order', async (t) => {
  const fleet = await twoZones(t);
  const { engine } = fleet.as(userNamed('ann'));
  const other = { blueprint, allowMultiple: true, ...waits };
  const given = [];
  for (const selectors of [[labelled('zone=b')], [labelled('zone=b')], [labelled('', 'nowhere'), labelled('zone=b')]])
    given.push((await engine.apply({ ...other, selectors })).cluster?.host);
  assert.deepEqual(given, ['b', 'b', 'b'], 'one was free, and two were built, although the other host has more room');
  const full = engine.apply({ ...other, waitSeconds: 1, selectors: [labelled('zone=b')] });
  await assert.rejects(full, (error) => /none could be built: No host with the labels zone=b/.test(Fault.from(error).message));
});

test('who waits for a place holds up nobody who wants another, and gets what fits', async (t) => {
  const fleet = await twoZones(t);
  const [ann, bob, cid] = [fleet.as(userNamed('ann')), fleet.as(userNamed('bob')), fleet.as(userNamed('cid'))];
  const nowhere = ann.engine.apply({ blueprint, ...waits, selectors: [labelled('', 'nowhere')] });
  await until(async () => (await ann.engine.listClaims({})).claims.length === 1, patienceMs);
  assert.equal((await bob.engine.apply({ blueprint, selectors: [labelled('zone=a')] })).cluster?.host, 'a');

  const { hosts, clusters } = fleet.as(operator);
  await hosts.updateHost({ host: { name: 'b', spec: { cordoned: true } }, updateMask: { paths: ['cordoned'] } });
  const inB = bob.engine.apply({ blueprint, allowMultiple: true, ...waits, selectors: [labelled('zone=b')] });
  await until(async () => (await bob.engine.listClaims({})).claims.length === 2, patienceMs);
  await hosts.updateHost({ host: { name: 'b', spec: { cordoned: false } }, updateMask: { paths: ['cordoned'] } });
  await assert.rejects(cid.engine.apply({ blueprint }), withReason('none_free'), 'the free one is for who came before');
  assert.equal((await inB).cluster?.host, 'b');

  const [claim] = (await ann.engine.listClaims({})).claims;
  await ann.engine.release({ id: claim?.id ?? '' });
  await assert.rejects(nowhere, withReason('claim_ended'), 'who has given up waiting waits no longer');
  assert.equal((await clusters.listClusters({})).clusters.length, 2);
});
