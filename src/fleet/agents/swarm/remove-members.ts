import type Docker from 'dockerode';
import { rest } from '#lib/rest.ts';
import type { ClusterRef, Leftover } from '../../driver/driver.ts';
import { isConflict, isGone, messageOf } from '../docker-engine/connect.ts';
import { readMarks } from '../logic/marks.ts';
import { filterOf, type SwarmScope, soonMs } from './scene.ts';

/** See `Driver.remove`. */
export async function removeMembers(scope: SwarmScope, docker: Docker, ref: ClusterRef, signal: AbortSignal): Promise<number> {
  /** What is still used by a task on its way out is tried again. */
  const gone = async (removal: () => Promise<unknown>): Promise<number> => {
    for (;;) {
      try {
        await removal();
        return 1;
      } catch (error) {
        if (isGone(error)) return 0;
        if (!/in use|has active endpoints|is being used/i.test(messageOf(error))) throw error;
      }
      await rest(soonMs, signal);
      signal.throwIfAborted();
    }
  };
  const filters = filterOf(scope, ref.cluster, ref.incarnation);
  let count = 0;
  for (const { ID } of await docker.listServices({ filters })) count += await gone(() => docker.getService(ID).remove());
  for (;;) {
    const networks = await docker.listNetworks({ filters });
    if (networks.length === 0) break;
    for (const { Id } of networks) count += await gone(() => docker.getNetwork(Id).remove());
    // It goes from node to node.
    await rest(soonMs, signal);
    signal.throwIfAborted();
  }
  for (const { ID } of await docker.listConfigs({ filters })) count += await gone(() => docker.getConfig(ID).remove());
  for (const { ID } of await docker.listSecrets({ filters })) count += await gone(() => docker.getSecret(ID).remove());
  for (const node of await scope.nodes.all(signal)) {
    // Containers outlive their service for as long as they may take to end.
    for (const { Id } of await node.docker.listContainers({ all: true, filters }))
      await gone(() => node.docker.getContainer(Id).remove({ force: true }).catch(ifRemoving));
    const { Volumes } = await node.docker.listVolumes({ filters });
    for (const { Name } of Volumes ?? []) count += await gone(() => node.docker.getVolume(Name).remove());
  }
  return count;
}

/** What is there of incarnations that are not in `whole`. */
export async function leftoversOf(
  scope: SwarmScope,
  docker: Docker,
  cluster: string | undefined,
  whole: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<readonly Leftover[]> {
  const filters = filterOf(scope, cluster);
  const all: [kind: Leftover['kind'], name: string, labels: Record<string, string> | undefined][] = [];
  for (const { Name, Labels } of await docker.listNetworks({ filters })) all.push(['network', Name, Labels]);
  for (const { Spec } of await docker.listConfigs({ filters })) all.push(['secret', Spec?.Name ?? '', Spec?.Labels]);
  for (const { Spec } of await docker.listSecrets({ filters })) all.push(['secret', Spec?.Name ?? '', Spec?.Labels]);
  for (const node of await scope.nodes.all(signal)) {
    const { Volumes } = await node.docker.listVolumes({ filters });
    for (const { Name, Labels } of Volumes ?? []) all.push(['volume', Name, Labels]);
  }
  return all.flatMap(([kind, name, labels]) => {
    const marks = readMarks(labels);
    if (!marks || whole.has(`${marks.cluster}/${marks.incarnation}`)) return [];
    return [{ kind, name, cluster: marks.cluster, incarnation: marks.incarnation }];
  });
}

/** Somebody else, such as the swarm itself, is removing it. */
const ifRemoving = (error: unknown): void => {
  if (!isConflict(error) && !isGone(error)) throw error;
};
