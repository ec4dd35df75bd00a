import { describe, type TestContext, test } from 'node:test';
import type { Cluster } from '#gen/cellar/fleet/v1/clusters_pb.ts';
import { AgentType } from '#gen/cellar/fleet/v1/hosts_pb.ts';
import { KubeApi, type KubeObject } from './agents/kubernetes/api.ts';
import { readConfig } from './agents/kubernetes/make-driver.ts';
import { signalCommand } from './agents/kubernetes/manifests.ts';
import { kubernetesMissing, testImage } from './agents/testing/kubernetes.ts';
import type { TestImage } from './agents/testing/test-images.ts';
import { type ChainGround, etcdScenario, litecoinScenario, natsScenario } from './testing/chain-scenarios.ts';
import { operator, startFleet } from './testing/fleet-platform.ts';
import { poolScenario } from './testing/pool-scenario.ts';
import { etcdSnapshotScenario, litecoinSnapshotScenario } from './testing/snapshot-scenario.ts';

const skip = kubernetesMissing();
/** Pods take their time to go, and images to come. */
const patienceMs = 300_000;
const signalMs = 20_000;

/** Members are signalled from inside of their pods. */
async function ground(t: TestContext, name: TestImage, portFirst: number): Promise<ChainGround> {
  const fleet = await startFleet(t);
  const spec = { type: AgentType.KUBERNETES, capacity: 2, portFirst, portLast: portFirst + 99 };
  await fleet.as(operator).hosts.createHost({ host: { name: 'kube', spec } });
  const api = new KubeApi(await readConfig('', '', ''));
  const image = testImage(name);
  const send =
    (signal: string): ChainGround['kill'] =>
    async ({ name: cluster, incarnation }: Cluster, member) => {
      const patience = AbortSignal.timeout(patienceMs);
      const labelSelector = `cellar.cluster=${cluster},cellar.incarnation=${incarnation},cellar.member=${member}`;
      const { items } = await api.list<KubeObject>('Pod', '', { labelSelector }, patience);
      for (const { metadata } of items) {
        const { name: pod, namespace = '' } = metadata;
        try {
          await api.exec(namespace, pod, signalCommand(signal), AbortSignal.timeout(signalMs));
        } catch (error) {
          // What is to run on may have been started anew by the watchdog meanwhile, whose pod is on its way out.
          if (signal !== 'CONT') throw error;
        }
      }
    };
  return {
    ...{ fleet, host: 'kube', patienceMs, ...(image === undefined ? {} : { image }) },
    ...{ kill: send('KILL'), freeze: send('STOP'), thaw: send('CONT') },
  };
}

describe('clusters on Kubernetes', { skip: skip ?? false, timeout: 1_800_000 }, () => {
  test('litecoin', async (t) => litecoinScenario(await ground(t, 'litecoin', 31_000)));
  test('etcd', async (t) => etcdScenario(await ground(t, 'etcd', 31_100)));
  test('NATS', async (t) => natsScenario(await ground(t, 'nats', 31_200)));
  test('snapshots of etcd', async (t) => etcdSnapshotScenario(await ground(t, 'etcd', 31_400)));
  test('snapshots of litecoin, over a reset', async (t) => litecoinSnapshotScenario(await ground(t, 'litecoin', 31_500)));
  test('a pool', async (t) => {
    const fleet = await startFleet(t);
    const image = testImage('anvil');
    const parameters: Record<string, string> = image === undefined ? {} : { image };
    await poolScenario({ fleet, type: AgentType.KUBERNETES, address: '', parameters, portFirst: 31_300, patienceMs });
  });
});
