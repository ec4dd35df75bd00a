import type Docker from 'dockerode';
import { rest } from '#lib/rest.ts';
import type { ClusterRef } from '../../driver/driver.ts';
import { messageOf } from '../docker-engine/connect.ts';
import { readMarks } from '../logic/marks.ts';
import { newest, readService, type TaskView } from './read-service.ts';
import { addressOf, look, memberMissing, type SwarmScope, soonMs } from './scene.ts';

/** Wants a task of a member's service, a new one when the last has ended. */
export async function beginMember(scope: SwarmScope, docker: Docker, ref: ClusterRef, member: string): Promise<void> {
  await update(scope, docker, ref, member, (tasks) => {
    const task = newest(tasks);
    const isUp =
      task !== undefined && task.DesiredState === 'running' && !/complete|failed|shutdown|rejected/.test(task.Status.State);
    return isUp ? undefined : 1;
  });
}

/** `wanted` says how many tasks there are to be now; `undefined`: as it is. */
async function update(
  scope: SwarmScope,
  docker: Docker,
  ref: ClusterRef,
  member: string,
  wanted: (tasks: readonly TaskView[]) => number | undefined,
): Promise<void> {
  for (;;) {
    const { services, tasksOf } = await look(scope, docker, ref.cluster, ref.incarnation);
    const found = services.find(({ Spec }) => readMarks(Spec?.Labels)?.member === member);
    if (!found) throw memberMissing(ref, member);
    const replicas = wanted(tasksOf(found));
    if (replicas === undefined) return;
    const service = docker.getService(found.ID);
    const { Spec, Version } = await service.inspect();
    const template = Spec.TaskTemplate as { ForceUpdate?: number };
    const TaskTemplate = { ...template, ForceUpdate: (template.ForceUpdate ?? 0) + replicas };
    try {
      await service.update({ ...Spec, TaskTemplate, Mode: { Replicated: { Replicas: replicas } }, version: Version.Index });
      return;
    } catch (error) {
      // Somebody else changed it meanwhile, or the swarm itself did.
      if (!/update out of sequence/i.test(messageOf(error))) throw error;
    }
  }
}

/** Resolves when its task has ended, or cannot be seen any more. */
export async function stopMember(
  scope: SwarmScope,
  docker: Docker,
  ref: ClusterRef,
  member: string,
  signal: AbortSignal,
): Promise<void> {
  try {
    await update(scope, docker, ref, member, () => 0);
  } catch (error) {
    if (Object(error).reason === 'member_missing') return;
    throw error;
  }
  for (;;) {
    const { services, tasksOf, nodes: all } = await look(scope, docker, ref.cluster, ref.incarnation);
    const service = services.find(({ Spec }) => readMarks(Spec?.Labels)?.member === member);
    const seen = service && readService(service, tasksOf(service), all, (node) => addressOf(scope, node));
    if (!seen || seen.state === 'exited' || seen.state === 'unknown') return;
    await rest(soonMs, signal);
    signal.throwIfAborted();
  }
}
