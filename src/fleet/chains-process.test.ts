import { spawnSync } from 'node:child_process';
import { describe, type TestContext, test } from 'node:test';
import { AgentType } from '#gen/cellar/fleet/v1/hosts_pb.ts';
import { markedProcesses } from './agents/process/processes.ts';
import { fabricMissing } from './agents/testing/fabric-release.ts';
import {
  type ChainGround,
  etcdScenario,
  ethereumScenario,
  fabricScenario,
  litecoinScenario,
  natsScenario,
} from './testing/chain-scenarios.ts';
import { operator, startFleet } from './testing/fleet-platform.ts';

async function ground(t: TestContext, portFirst: number): Promise<ChainGround> {
  const fleet = await startFleet(t);
  const spec = { type: AgentType.PROCESS, capacity: 2, portFirst, portLast: portFirst + 99 };
  await fleet.as(operator).hosts.createHost({ host: { name: 'local', spec } });
  const tell = (signal: NodeJS.Signals): ChainGround['kill'] => {
    return async ({ name, incarnation }, member) => {
      const all = await markedProcesses('');
      const own = all.filter(({ mark }) => mark.endsWith(`/local/${name}/${incarnation}/${member}`));
      for (const { pid } of own) process.kill(pid, signal);
    };
  };
  return { fleet, host: 'local', kill: tell('SIGKILL'), freeze: tell('SIGSTOP'), thaw: tell('SIGCONT') };
}

/** Why programs cannot be run here, or undefined; under CI a missing one is an error. */
function missing(packages: string, ...programs: readonly string[]): string | undefined {
  const lost = programs.filter((program) => spawnSync(program, ['--version']).error);
  if (lost.length === 0) return undefined;
  const reason = `${lost.join(' and ')} not on the PATH; enable with: apt-get install ${packages}`;
  if (process.env['CI']) throw new Error(reason);
  return reason;
}

// At the same time, since they mostly wait; with ports of their own.
describe('clusters of local processes', { concurrency: true }, () => {
  test('litecoin', { skip: missing('litecoind', 'litecoind', 'litecoin-cli') }, async (t) => {
    await litecoinScenario(await ground(t, 23_000));
  });

  test('etcd', { skip: missing('etcd-server', 'etcd') }, async (t) => {
    await etcdScenario(await ground(t, 23_100));
  });

  test('NATS', { skip: missing('nats-server', 'nats-server') }, async (t) => {
    await natsScenario(await ground(t, 23_200));
  });

  test('Hyperledger Fabric', { skip: fabricMissing() ?? false }, async (t) => {
    await fabricScenario(await ground(t, 23_300));
  });

  // Heavy, and too large to be dependencies, so only where somebody asks for it; it takes about five minutes.
  const { CELLAR_ETHEREUM_PROGRAMS: programs } = process.env;
  const howTo =
    'heavy; enable with: npm run ethereum-programs -- /tmp/ethereum && CELLAR_ETHEREUM_PROGRAMS=/tmp/ethereum npm test -- src/fleet/chains-process';
  test('proof-of-stake Ethereum', { skip: programs === undefined && howTo }, async (t) => {
    process.env['PATH'] = `${programs}:${process.env['PATH']}`;
    await ethereumScenario(await ground(t, 23_400));
  });
});
