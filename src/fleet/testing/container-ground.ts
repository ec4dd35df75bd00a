import type { TestContext } from 'node:test';
import type Docker from 'dockerode';
import type { Cluster } from '#gen/cellar/fleet/v1/clusters_pb.ts';
import type { AgentType } from '#gen/cellar/fleet/v1/hosts_pb.ts';
import type { ChainGround } from './chain-ground.ts';
import { operator, startFleet } from './fleet-platform.ts';

export interface ContainerGroundOptions {
  readonly type: AgentType;
  readonly address: string;
  /** Of all machines that members may be on. */
  readonly engines: readonly Docker[];
  readonly image: string;
  readonly portFirst: number;
  /** How long one step may take, see `ChainGround`. */
  readonly patienceMs?: number;
}

/** A host whose members are containers, which are killed and frozen through their engines. */
export async function containerGround(
  t: TestContext,
  { type, address, engines, image, portFirst, patienceMs }: ContainerGroundOptions,
): Promise<ChainGround> {
  const fleet = await startFleet(t);
  const spec = { type, address, capacity: 2, portFirst, portLast: portFirst + 99 };
  await fleet.as(operator).hosts.createHost({ host: { name: 'box', spec } });
  const containersOf = async ({ name, incarnation }: Cluster, member: string): Promise<readonly Docker.Container[]> => {
    const label = [`cellar.cluster=${name}`, `cellar.member=${member}`, `cellar.incarnation=${incarnation}`];
    const found = await Promise.all(
      engines.map(async (docker) =>
        (await docker.listContainers({ filters: { label } })).map(({ Id }) => docker.getContainer(Id)),
      ),
    );
    return found.flat();
  };
  const each =
    (verb: (container: Docker.Container) => Promise<unknown>): ChainGround['kill'] =>
    async (cluster, member) => {
      for (const container of await containersOf(cluster, member)) await verb(container);
    };
  return {
    ...{ fleet, host: 'box', image, ...(patienceMs === undefined ? {} : { patienceMs }) },
    kill: each((container) => container.kill()),
    freeze: each((container) => container.pause()),
    thaw: each((container) =>
      container.unpause().catch((error: unknown) => {
        if (!isFrozenNoMore(error)) throw error;
      }),
    ),
  };
}

/** Why a container cannot be thawed: the watchdog has started it anew meanwhile. */
export const isFrozenNoMore = (error: unknown): boolean =>
  /is not paused|not running|running process|stopped container|no such container/i.test(String(error));
