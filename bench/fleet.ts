/** How fast clusters are given out, and what looking at all of them costs: on simulated hosts, and with real chains as local processes. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { fleetAgent } from '../src/fleet/agents/main.ts';
import { fleetControl } from '../src/fleet/control/main.ts';
import { blueprintOfText, builtInText, createSimulation } from '../src/fleet/control/testing/simulation.ts';
import { operator, userNamed } from '../src/fleet/testing/fleet-platform.ts';
import { Engine } from '../src/gen/cellar/fleet/v1/engine_pb.ts';
import { AgentType, Hosts } from '../src/gen/cellar/fleet/v1/hosts_pb.ts';
import { Operation_State, Operations } from '../src/gen/cellar/fleet/v1/operations_pb.ts';
import { openDatabase } from '../src/kernel/database/open.ts';
import { silentLog } from '../src/kernel/log.ts';
import { startTestPlatform } from '../src/kernel/testing/platform.ts';
import { type Claim, isQuick, median, quantile, report } from './report.ts';

/** Frees what nobody holds any more, so that what is left can be counted. */
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

const rows: (string | number)[][] = [];
const claims: Claim[] = [];
const note = (what: string, value: number, unit: string, target?: string, holds?: boolean): void => {
  rows.push([what, Math.round(value * 100) / 100, unit]);
  if (target !== undefined && holds !== undefined) claims.push({ what: `${what}, ${unit}`, target, measured: value, holds });
};

const home = mkdtempSync(join(tmpdir(), 'cellar-bench-fleet-'));
const settings = { [fleetControl.name]: { lookSeconds: 1, claimsPerUser: 100_000, buildsAtOnce: 64, buildsAtOncePerHost: 64 } };
const instances = [fleetAgent, fleetControl].map((definition) => ({ definition, instance: '', plan: undefined }));

type Platform = Awaited<ReturnType<typeof startTestPlatform>>;

async function fill(platform: Platform, name: string, type: AgentType, capacity: number): Promise<void> {
  const hosts = platform.client(Hosts, operator);
  const templates = [{ blueprint: 'evm-dev', parameters: {} }];
  await hosts.createHost({ host: { name, spec: { type, capacity, templates, portFirst: 20_000, portLast: 32_000 } } });
  await done(platform, await hosts.fillupHost({ name }));
}

async function done(platform: Platform, { id }: { readonly id: string }): Promise<void> {
  for await (const { state, message } of platform.client(Operations, operator).watchOperation({ id })) {
    if (state === Operation_State.DONE) return;
    if (state !== Operation_State.RUNNING) throw new Error(message);
  }
}

/** A pool of simulated clusters that is given out whole, by one client and then by 64 at once. */
async function measureClaims(): Promise<void> {
  const pool = isQuick ? 200 : 1000;
  const alone = isQuick ? 20 : 200;
  const platform = await startTestPlatform(instances, { log: silentLog, home: join(home, 'claims'), settings });
  try {
    await fill(platform, 'pool', AgentType.SIMULATED, pool + alone);
    const engineOf = (name: string) => platform.client(Engine, userNamed(name));
    const single: number[] = [];
    for (let at = 0; at < alone; at++) {
      const startMs = performance.now();
      await engineOf('ann').apply({ blueprint: 'evm-dev', allowMultiple: true });
      single.push(performance.now() - startMs);
    }
    note('apply from a warm pool, one client, p50', median(single), 'ms', '< 5', median(single) < 5);
    note('the same, p99', quantile(single, 0.99), 'ms');
    const startMs = performance.now();
    let lastMs = startMs;
    const given = await Promise.all(
      Array.from({ length: 64 }, async (_, client) => {
        const engine = engineOf(`user-${client}`);
        const names: string[] = [];
        for (;;) {
          try {
            const { cluster } = await engine.apply({ blueprint: 'evm-dev', allowMultiple: true });
            names.push(cluster?.name ?? '');
            lastMs = performance.now();
          } catch (error) {
            if (Object(error).reason !== 'none_free') throw error;
            return names;
          }
        }
      }),
    );
    // Those that come too late are refused after the last one was given out.
    const perSecond = pool / ((lastMs - startMs) / 1000);
    const names = given.flat();
    note(`64 clients race for ${pool} clusters`, perSecond, 'claims/s', '>= 2 000', perSecond >= 2000);
    const twice = names.length - new Set(names).size;
    note('clusters given out, of those that were free', names.length, 'clusters', String(pool), names.length === pool);
    note('clusters given to two', twice, 'clusters', '0', twice === 0);
  } finally {
    await platform.stop();
  }
}

/** What one look at everything costs, by processor time: the machine may be busy. */
async function measurePasses(): Promise<void> {
  const [hosts, perHost] = isQuick ? [100, 20] : [1000, 20];
  const total = hosts * perHost;
  const database = openDatabase({ url: `sqlite:${join(home, 'passes.db')}`, name: 'passes', log: silentLog });
  try {
    const simulation = await createSimulation(database, 1, [blueprintOfText(builtInText('evm-dev'))]);
    for (let host = 0; host < hosts; host++) {
      await simulation.addHost(`host-${host}`, { capacity: perHost });
      for (let at = 0; at < perHost; at++) await simulation.addCluster(`host-${host}`, `cluster-${host}-${at}`, 'evm-dev');
    }
    const signal = AbortSignal.timeout(900_000);
    const free = (): number => {
      collect();
      return process.memoryUsage().heapUsed;
    };
    const emptyBytes = free();
    const watchdog = simulation.newWatchdog();
    const pass = async (): Promise<number> => {
      simulation.clock.nowMs += 5000;
      const before = process.cpuUsage();
      await watchdog.pass(signal);
      const { user, system } = process.cpuUsage(before);
      return (user + system) / 1e6;
    };
    const ready = async (): Promise<number> => {
      let count = 0;
      for (let after = ''; ; ) {
        const page = await simulation.store.clusters({}, after, 1000);
        count += page.filter(({ health }) => health === 'ok').length;
        const last = page.at(-1);
        if (!last) return count;
        after = last.name;
      }
    };
    while ((await ready()) < total) await pass();
    await pass();
    const healthy = median([await pass(), await pass(), await pass()]);
    note(`a look at ${hosts} hosts with ${total} clusters, all healthy`, healthy, 's of a core', '< 2', healthy < 2);
    const perRecord = (free() - emptyBytes) / total;
    note('memory of an idle cluster, beyond its row', perRecord, 'bytes', '< 4 096', perRecord < 4096);

    // One in a hundred members has ended.
    let at = 0;
    for (const host of simulation.world.hosts)
      for (const member of host.members.values()) if (at++ % 100 === 0) Object.assign(member, { state: 'exited', exitCode: 1 });
    const before = simulation.events.length;
    const sick = await pass();
    const acted = new Set(
      simulation.events
        .slice(before)
        .filter(({ kind }) => kind === 'cluster')
        .map(({ name }) => name),
    );
    note('the same with 1 % sick', sick, 's of a core');
    const wanted = Math.ceil(total / 100);
    note('sick ones acted on in that look', acted.size, 'clusters', `>= ${wanted}`, acted.size >= wanted);
  } finally {
    await database.close();
  }
}

/** From the wish to an answer of the chain, as its user sees it. */
async function measureChains(): Promise<void> {
  const runs = isQuick ? 2 : 5;
  const platform = await startTestPlatform(instances, { log: silentLog, home: join(home, 'chains'), settings });
  const engine = platform.client(Engine, userNamed('ann'));
  const hosts = platform.client(Hosts, operator);
  try {
    const ask = async (url: string | undefined): Promise<void> => {
      const response = await fetch(url ?? '', {
        method: 'POST',
        body: '{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[]}',
        headers: { 'content-type': 'application/json' },
      });
      if (!((await response.json()) as { result?: string }).result) throw new Error('The chain gives no answer');
    };
    const cold: number[] = [];
    const warm: number[] = [];
    await hosts.createHost({ host: { name: 'cold', spec: { type: AgentType.PROCESS, capacity: runs } } });
    for (let run = 0; run < runs; run++) {
      const startMs = performance.now();
      const { cluster } = await engine.apply({
        ...{ blueprint: 'evm-dev', allowMultiple: true, waitSeconds: 60, selectors: [{ host: 'cold' }] },
      });
      await ask(cluster?.endpoints['rpc']);
      cold.push(performance.now() - startMs);
    }
    await fill(platform, 'warm', AgentType.PROCESS, runs);
    for (let run = 0; run < runs; run++) {
      const startMs = performance.now();
      const { cluster } = await engine.apply({ blueprint: 'evm-dev', allowMultiple: true, selectors: [{ host: 'warm' }] });
      await ask(cluster?.endpoints['rpc']);
      warm.push(performance.now() - startMs);
    }
    note(
      'anvil as a local process, from the wish to its answer, built on demand',
      median(cold),
      'ms',
      '< 1 500',
      median(cold) < 1500,
    );
    note('the same from a warm pool', median(warm), 'ms', '< 20', median(warm) < 20);
  } finally {
    for (const { name } of (await hosts.listHosts({})).hosts) await done(platform, await hosts.deleteHost({ name, force: true }));
    await platform.stop();
  }
}

try {
  await measureClaims();
  await measurePasses();
  await measureChains();
} finally {
  rmSync(home, { recursive: true, force: true });
}
report('fleet', { columns: ['what', 'measured', 'unit'], rows, claims });
