import type Docker from 'dockerode';
import { unavailable } from '#kernel/fault.ts';
import type { ClusterRef } from '../../driver/driver.ts';
import type { EngineVolume } from '../docker-engine/volumes.ts';
import { readMarks, volumeName } from '../logic/marks.ts';
import { look, marksOf, memberMissing, type SwarmScope } from './scene.ts';
import { nodeLabel } from './service-spec.ts';

/** A member's volume lies on the node that the member is tied to. Errors: `member_missing`; `engine_unreachable` while the node is away. */
export async function volumeOf(
  scope: SwarmScope,
  docker: Docker,
  ref: ClusterRef,
  member: string,
  volume: string,
  signal: AbortSignal,
): Promise<EngineVolume> {
  const { services } = await look(scope, docker, ref.cluster, ref.incarnation);
  const service = services.find(({ Spec }) => readMarks(Spec?.Labels)?.member === member);
  if (!service) throw memberMissing(ref, member);
  const nodes = await scope.nodes.all(signal);
  const node = nodes.find(({ id }) => id === service.Spec?.Labels?.[nodeLabel]);
  if (!node)
    throw unavailable(`The node of member "${member}" of cluster "${ref.cluster}" does not answer`, {
      reason: 'engine_unreachable',
    });
  const name = volumeName(scope.fleet, scope.host, ref, { name: member }, volume);
  return { docker: node.docker, name, labels: marksOf(scope, ref) };
}
