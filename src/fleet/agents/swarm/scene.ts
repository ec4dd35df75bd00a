import type Docker from 'dockerode';
import { notFound } from '#kernel/fault.ts';
import type { ClusterRef } from '../../driver/driver.ts';
import { labelFilter, labelsOf } from '../logic/marks.ts';
import type { SwarmNodes } from './nodes.ts';
import type { NodeView, ServiceView, TaskView } from './read-service.ts';
import type { ServiceOwner } from './service-spec.ts';

/** Whose part of a swarm is worked on. */
export interface SwarmScope {
  readonly nodes: SwarmNodes;
  readonly fleet: string;
  readonly host: string;
}

/** How often is looked whether something has happened that the swarm tells nobody of. */
export const soonMs = 100;

export const ownerOf = ({ fleet, host }: SwarmScope, { cluster, incarnation }: ClusterRef): ServiceOwner => ({
  ...{ fleet, host, cluster, incarnation },
});
export const filterOf = ({ fleet, host }: SwarmScope, cluster?: string, incarnation?: number) =>
  labelFilter(fleet, host, cluster, incarnation);
export const marksOf = ({ fleet, host }: SwarmScope, ref: ClusterRef, member = '') =>
  labelsOf(fleet, host, { ...ref, member, digest: '' });
export const memberMissing = (ref: ClusterRef, member: string): Error =>
  notFound(`There is no member "${member}" of cluster "${ref.cluster}" here`, { reason: 'member_missing' });

/** Where what a node publishes is reached; empty: not known. */
export const addressOf = ({ nodes }: SwarmScope, node: string): string =>
  nodes.known.find(({ id }) => id === node)?.address ?? '';

/** What is there of ours, or of one cluster. */
export interface Scene {
  readonly services: readonly ServiceView[];
  readonly tasksOf: (service: ServiceView) => readonly TaskView[];
  readonly nodes: readonly NodeView[];
}

export async function look(scope: SwarmScope, docker: Docker, cluster?: string, incarnation?: number): Promise<Scene> {
  const [services, tasks, all] = await Promise.all([
    docker.listServices({ filters: filterOf(scope, cluster, incarnation) }) as Promise<readonly ServiceView[]>,
    docker.listTasks() as Promise<readonly TaskView[]>,
    docker.listNodes() as Promise<readonly NodeView[]>,
  ]);
  const byService = Map.groupBy(tasks, ({ ServiceID }) => ServiceID);
  return { services, nodes: all, tasksOf: ({ ID }) => byService.get(ID) ?? [] };
}
