import assert from 'node:assert/strict';
import { after, type TestContext, test } from 'node:test';
import type { Claim } from '#gen/cellar/fleet/v1/engine_pb.ts';
import { AgentType } from '#gen/cellar/fleet/v1/hosts_pb.ts';
import { Fault } from '#kernel/fault.ts';
import { postgresForFile } from '#kernel/testing/databases.ts';
import { until } from '#kernel/testing/engines.ts';
import { type FleetPlatform, operator, startFleet, userNamed } from './testing/fleet-platform.ts';

const postgres = await postgresForFile();
after(() => postgres.stop());
const size = 10;
const claimers = 64;
const patienceMs = 60_000;
const wish = { blueprint: 'evm-dev' };

/** A pool of simulated clusters that are ready. */
async function pool(t: TestContext, databaseUrl: string | undefined): Promise<FleetPlatform> {
  const fleet = await startFleet(t, databaseUrl === undefined ? {} : { databaseUrl });
  const { hosts } = fleet.as(operator);
  const templates = [{ blueprint: 'evm-dev', parameters: {} }];
  await hosts.createHost({ host: { name: 'pool', spec: { type: AgentType.SIMULATED, capacity: size, templates } } });
  await fleet.done(await hosts.fillupHost({ name: 'pool' }));
  return fleet;
}

const engines: [name: string, skip: string | false, url: () => Promise<string | undefined>][] = [
  ['SQLite', false, async () => undefined],
  ['PostgreSQL', postgres.skip, async () => (postgres.skip ? undefined : await postgres.server().createDatabase())],
];

for (const [name, skip, url] of engines) {
  test(`${claimers} users ask for ${size} clusters at once on ${name}: each is given once, and who comes too late hears why`, {
    skip,
  }, async (t) => {
    const fleet = await pool(t, await url());
    const asked = await Promise.allSettled(
      Array.from({ length: claimers }, (_, at) => fleet.as(userNamed(`user-${at}`)).engine.apply(wish)),
    );
    const given = asked.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    assert.equal(given.length, size);
    assert.equal(new Set(given.map(({ cluster }) => cluster?.name)).size, size);
    const reasons = asked.flatMap((one) => (one.status === 'rejected' ? [Fault.from(one.reason).reason] : []));
    assert.deepEqual(new Set(reasons), new Set(['none_free']));
    for (const { cluster, userName } of given) assert.equal(cluster?.owner, userName);

    // Those who wait are served in the order in which they came, as clusters come back.
    const served: string[] = [];
    const waiting: Promise<Claim>[] = [];
    for (let at = 0; at < 2 * size; at++) {
      const user = `late-${String(at).padStart(2, '0')}`;
      const { engine } = fleet.as(userNamed(user));
      const claim = engine.apply({ ...wish, waitSeconds: patienceMs / 1000 });
      waiting.push(claim);
      void claim.then(() => served.push(user));
      // Its place in the line is taken before the next one comes.
      await until(async () => (await engine.listClaims({})).claims.length === 1, patienceMs);
    }
    for (const { id, userName } of given) await fleet.as(userNamed(userName)).engine.release({ id });
    await until(() => served.length === size, patienceMs);
    const first = await Promise.all(waiting.slice(0, size));
    assert.deepEqual(served.toSorted(), served.length === size ? Array.from({ length: size }, (_, at) => `late-0${at}`) : []);
    for (const { id, userName } of first) await fleet.as(userNamed(userName)).engine.release({ id });
    const last = await Promise.all(waiting.slice(size));
    assert.equal(new Set(last.map(({ cluster }) => cluster?.name)).size, size);
    for (const { id, userName } of last) await fleet.as(userNamed(userName)).engine.release({ id });
  });
}
