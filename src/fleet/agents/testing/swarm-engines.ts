import { spawnSync } from 'node:child_process';
import { until } from '#kernel/testing/engines.ts';
import { startDocker, type TestDocker } from './docker-engines.ts';

/** One engine of a swarm, on a machine of its own as far as networks and names go. */
export interface TestNode extends TestDocker {
  /** Where other nodes, and this machine, reach it. */
  readonly ip: string;
  /** Nobody reaches it any more, nor it anybody. */
  cut(): void;
  mend(): void;
}

/** Three managers, so that one may be lost. */
export interface TestSwarm extends AsyncDisposable {
  readonly nodes: readonly TestNode[];
  /** As hosts name it: the engines' addresses, with commas between. */
  readonly address: string;
}

const size = 3;

function ip(...args: readonly string[]): void {
  const { status, stderr } = spawnSync('ip', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr}`);
}

/**
 * Engines in network namespaces that a bridge joins. The kernel may lack IPVS, so what is published by a swarm is reached on the node itself.
 */
export async function startSwarm(): Promise<TestSwarm> {
  const id = process.pid % 100_000;
  const third = 16 + (process.pid % 200);
  const bridge = `cb${id}`;
  const addressOf = (at: number): string => `192.168.${third}.${at + 1}`;
  const cleanups: (() => unknown)[] = [];
  const dispose = async (): Promise<void> => {
    for (const cleanup of cleanups.toReversed()) await cleanup();
  };
  try {
    ip('link', 'add', bridge, 'type', 'bridge');
    cleanups.push(() => ip('link', 'delete', bridge));
    ip('address', 'add', `192.168.${third}.254/24`, 'dev', bridge);
    ip('link', 'set', bridge, 'up');
    const nodes: TestNode[] = [];
    for (let at = 0; at < size; at++) {
      const [space, outer] = [`cn${id}-${at}`, `cv${id}-${at}`];
      ip('netns', 'add', space);
      cleanups.push(() => ip('netns', 'delete', space));
      ip('link', 'add', outer, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', space);
      ip('link', 'set', outer, 'master', bridge, 'up');
      ip('-n', space, 'address', 'add', `${addressOf(at)}/24`, 'dev', 'eth0');
      ip('-n', space, 'link', 'set', 'eth0', 'up');
      ip('-n', space, 'link', 'set', 'lo', 'up');
      ip('-n', space, 'route', 'add', 'default', 'via', `192.168.${third}.254`);
      // Not by `ip netns exec`, which would take the control groups away; names of machines are of another namespace.
      const enter = [
        'nsenter',
        `--net=/var/run/netns/${space}`,
        'unshare',
        '--uts',
        'sh',
        '-c',
        `hostname node-${at}; exec "$@"`,
        'sh',
      ];
      const network = ['--default-address-pool', 'base=172.30.0.0/16,size=24', '--cgroup-parent', `/${space}`];
      const engine = await startDocker({ wrap: enter, network });
      cleanups.push(() => engine[Symbol.asyncDispose]());
      nodes.push({
        ...engine,
        ip: addressOf(at),
        cut: () => ip('link', 'set', outer, 'down'),
        mend: () => ip('link', 'set', outer, 'up'),
      });
    }
    const [first, ...others] = nodes;
    if (!first) throw new Error('There are no nodes');
    await first.docker.swarmInit({
      ...{ ListenAddr: `${first.ip}:2377`, AdvertiseAddr: first.ip, DefaultAddrPool: ['10.210.0.0/16'], SubnetSize: 24 },
      // A node that is gone is told of sooner than by default.
      Spec: { Dispatcher: { HeartbeatPeriod: 1_000_000_000 } },
    });
    const { JoinTokens } = (await first.docker.swarmInspect()) as { JoinTokens: { Manager: string } };
    for (const { docker, ip: own } of others) {
      const RemoteAddrs = [`${first.ip}:2377`];
      await docker.swarmJoin({ ListenAddr: `${own}:2377`, AdvertiseAddr: own, RemoteAddrs, JoinToken: JoinTokens.Manager });
    }
    await until(async () => {
      const found = (await first.docker.listNodes()) as readonly { Status?: { State?: string } }[];
      return found.length === size && found.every(({ Status }) => Status?.State === 'ready');
    }, 30_000);
    return { nodes, address: nodes.map(({ address }) => address).join(','), [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}
