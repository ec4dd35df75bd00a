import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Clusters } from '#gen/cellar/fleet/v1/clusters_pb.ts';
import { Engine } from '#gen/cellar/fleet/v1/engine_pb.ts';
import { AgentType, Hosts } from '#gen/cellar/fleet/v1/hosts_pb.ts';
import { ProcessMetrics } from '#kernel/metrics.ts';
import { temporaryFolder, until } from '#kernel/testing/engines.ts';
import { startTestPlatform, type TestPlatformOptions } from '#kernel/testing/platform.ts';
import { fleetAgent } from './agents/main.ts';
import { fleetControl } from './control/main.ts';
import { operator } from './testing/fleet-platform.ts';

const patienceMs = 30_000;

test('the fleet in numbers: metrics of now, and statistics that outlive a restart', async () => {
  using folder = temporaryFolder();
  const metrics = new ProcessMetrics();
  const instances = [fleetAgent, fleetControl].map((definition) => ({ definition, instance: '', plan: undefined }));
  const settings = { [fleetControl.name]: { lookSeconds: 1 } };
  const start = (more: TestPlatformOptions) => startTestPlatform(instances, { home: folder.path, settings, ...more });
  await using first = await start({ metrics });
  const [hosts, engine, clusters] = [
    first.client(Hosts, operator),
    first.client(Engine, operator),
    first.client(Clusters, operator),
  ];
  const spec = { type: AgentType.SIMULATED, capacity: 3, templates: [{ blueprint: 'evm-dev', parameters: {} }] };
  await hosts.createHost({ host: { name: 'h1', spec } });
  await hosts.fillupHost({ name: 'h1' });
  await until(async () => (await hosts.getHost({ name: 'h1' })).status?.free === 3, patienceMs);
  await engine.apply({ blueprint: 'evm-dev' });
  await assert.rejects(engine.apply({ blueprint: 'nothing' }), { reason: 'blueprint_missing' });

  const value = (name: string, labels: string, suffix = ''): number | undefined =>
    metrics
      .families()
      .find((family) => family.name === name)
      ?.samples.find((sample) => sample.labels === labels && sample.suffix === suffix)?.value;
  await until(() => value('cellar_fleet_clusters_used', 'blueprint="evm-dev"') === 1, patienceMs);
  const gauges: [name: string, labels: string, value: number][] = [
    ['cellar_fleet_clusters', 'host="h1",blueprint="evm-dev",state="ready"', 3],
    ['cellar_fleet_clusters_by_health', 'health="ok"', 3],
    ['cellar_fleet_clusters_free', 'blueprint="evm-dev"', 2],
    ['cellar_fleet_hosts', 'type="simulated",state="active"', 1],
    ['cellar_fleet_host_capacity', 'host="h1"', 3],
    ['cellar_fleet_host_clusters', 'host="h1"', 3],
    ['cellar_fleet_host_clusters_used', 'host="h1"', 1],
    ['cellar_fleet_host_clusters_free', 'host="h1"', 2],
    ['cellar_fleet_claims_waiting', '', 0],
    ['cellar_fleet_webhooks', 'state="enabled"', 0],
  ];
  for (const [name, labels, wanted] of gauges) assert.equal(value(name, labels), wanted, `${name}{${labels}}`);
  assert.equal(value('cellar_fleet_apply_seconds', '', '_count'), 1);
  assert.equal(value('cellar_fleet_refused_total', 'reason="blueprint_missing"'), 1);
  assert.equal(value('cellar_fleet_events_total', 'type="ClusterReady"'), 3);
  await until(() => value('cellar_fleet_ready_seconds', 'blueprint="evm-dev"', '_count') === 3);
  await until(() => value('cellar_fleet_operation_seconds', 'verb="fillup",outcome="done"', '_count') === 1);
  assert.ok((value('cellar_fleet_watchdog_pass_seconds', '', '_count') ?? 0) > 0);
  const page = await metrics.render();
  for (const { name } of (await clusters.listClusters({})).clusters) assert.ok(!page.includes(name), 'no cluster is named');

  const before = await engine.getStatistics({});
  assert.deepEqual(
    before.clusters.map(({ state, health, count, used, free }) => [state, health, count, used, free]),
    [['ready', 'ok', 3, 1, 2]],
  );
  assert.deepEqual([before.ready?.count, before.apply?.count, before.claims, before.refused], [3n, 1n, 1n, 1n]);
  assert.ok((before.ready?.p90 ?? -1) >= (before.ready?.p50 ?? 0));
  assert.deepEqual(
    before.blueprints.map(({ blueprint, ready }) => [blueprint, ready?.count]),
    [['evm-dev', 3n]],
  );
  await until(async () => ((await engine.getStatistics({})).history.at(-1)?.used ?? 0) > 0, patienceMs);
  const [point] = (await engine.getStatistics({})).history;
  // The average of the piece, in which there was no host at first.
  assert.ok(point !== undefined && point.capacity > 0 && point.capacity <= 3);

  await first.stop();
  await using again = await start({});
  const after = await again.client(Engine, operator).getStatistics({ windowSeconds: 7 * 86_400 });
  assert.deepEqual([after.ready?.count, after.apply?.count, after.claims], [3n, 1n, 0n]);
  assert.ok(after.history.length > 0);
});
