import { failedPrecondition } from '#kernel/fault.ts';
import { createKeyedLock } from '#lib/keyed-lock.ts';
import { rest } from '#lib/rest.ts';
import type { ClusterRef, Driver, MemberUse } from '../../driver/driver.ts';
import { askNetwork, no, unknown, yes } from '../logic/ask-network.ts';
import { logLine } from '../logic/log-line.ts';
import { readMarks } from '../logic/marks.ts';
import { merged } from '../logic/merged.ts';
import { asking, isGone, type KubeApi, type KubeObject, kubeFault, pathOf } from './api.ts';
import { createMembers } from './create-members.ts';
import { selectorOf } from './manifests.ts';
import { quantity } from './quantity.ts';
import type { NodeView } from './read-member.ts';
import { beginMember, removeMembers, stopMember } from './run-members.ts';
import { type KubeScope, memberMissing, observe, ours, podOf, spaceOf, within } from './scene.ts';
import { loadVolume, saveVolume } from './volumes.ts';

export interface KubernetesDriverOptions {
  readonly api: KubeApi;
  readonly host: string;
  readonly fleet: string;
  /** Of pods that copy volumes; empty, as when absent: the member's own. */
  readonly helperImage?: () => string;
}

const askMs = 30_000;
const changeMs = 110_000;
/** A watch is opened anew as often: networks forget connections on which nothing is said. */
const watchSeconds = 240;
const againMs = 1000;

/** Clusters as namespaces: a StatefulSet of one pod for each member. */
export function createKubernetesDriver({ api, host, fleet, helperImage = () => '' }: KubernetesDriverOptions): Driver {
  const scope: KubeScope = { api, host, fleet };
  const locks = createKeyedLock();
  const lockOf = ({ cluster, incarnation }: ClusterRef): string => `${cluster}/${incarnation}`;

  async function used(ref: ClusterRef, signal: AbortSignal): Promise<readonly MemberUse[]> {
    interface PodMetrics extends KubeObject {
      readonly containers: readonly { readonly usage: { readonly cpu: string; readonly memory: string } }[];
    }
    let items: readonly PodMetrics[];
    try {
      ({ items } = await within<PodMetrics>(scope, 'PodMetrics', ref, signal));
    } catch (error) {
      if (!isGone(error)) throw error;
      throw failedPrecondition('This Kubernetes cluster does not measure what pods use', {
        reason: 'metrics_missing',
        hint: 'Install metrics-server there.',
      });
    }
    const members = items.filter(({ metadata }) => metadata.labels?.['cellar.member'] !== undefined);
    return members.map(({ metadata, containers }) => ({
      member: metadata.labels?.['cellar.member'] ?? '',
      memoryBytes: containers.reduce((sum, { usage }) => sum + quantity(usage.memory), 0),
      cpuPercent: containers.reduce((sum, { usage }) => sum + quantity(usage.cpu) * 100, 0),
      processes: 0,
    }));
  }

  return {
    probe: (signal) =>
      asking(signal, askMs, async (patience) => {
        const [version, space, nodes, groups] = await Promise.all([
          api.get<{ readonly gitVersion: string }>('/version', patience),
          api.get<KubeObject>('/api/v1/namespaces/kube-system', patience),
          api.list<NodeView>('Node', '', {}, patience),
          api.get<{ readonly groups: readonly { readonly name: string }[] }>('/apis', patience),
        ]);
        const sum = (name: string): number =>
          nodes.items.reduce((total, { status }) => total + quantity(status?.allocatable?.[name] ?? '0'), 0);
        const hasMetrics = groups.groups.some(({ name }) => name === 'metrics.k8s.io');
        return {
          type: 'kubernetes',
          version: `Kubernetes ${version.gitVersion}, ${nodes.items.length} ${nodes.items.length === 1 ? 'node' : 'nodes'}`,
          identity: `kubernetes:${space.metadata.uid}`,
          cores: sum('cpu'),
          memoryBytes: sum('memory'),
          abilities: ['exec', 'limits', 'snapshot', ...(hasMetrics ? (['stats'] as const) : [])],
        };
      }),
    observe: (cluster, signal) => asking(signal, askMs, (patience) => observe(scope, cluster, patience)),
    create: (ref, members, _labels, signal) =>
      asking(signal, changeMs, (patience) => locks.run(lockOf(ref), () => createMembers(scope, ref, members, patience))),
    start: (ref, members, signal) =>
      asking(signal, askMs, async (patience) => {
        for (const member of members) await beginMember(scope, ref, member, patience);
      }),
    stop: (ref, members, signal) =>
      asking(signal, changeMs, async (patience) => {
        for (const member of members) await stopMember(scope, ref, member, patience);
      }),
    remove: (ref, signal) =>
      asking(signal, changeMs, (patience) => locks.run(lockOf(ref), () => removeMembers(scope, ref, patience))),
    /** Those that Kubernetes publishes are known; whatever else listens on a node is found out when a member wants the port. */
    freePorts: (ports, signal) =>
      asking(signal, askMs, async (patience) => {
        interface ServiceView extends KubeObject {
          readonly spec: { readonly ports?: readonly { readonly nodePort?: number }[] };
        }
        const { items } = await api.list<ServiceView>('Service', '', {}, patience);
        const taken = new Set(items.flatMap(({ spec }) => spec.ports?.map(({ nodePort }) => nodePort) ?? []));
        return ports.filter((port) => !taken.has(port));
      }),
    async ask(ref, questions, signal) {
      const { members } = await this.observe(ref.cluster, signal);
      const placeOf = (member: string): string =>
        members.find((one) => one.member === member && one.incarnation === ref.incarnation)?.address ?? '';
      return await Promise.all(
        questions.map(async (asked) => {
          const answer = await askNetwork(
            asked,
            ({ ports, member }, port) => {
              const place = placeOf(member);
              return ports[port] && ports[port].host > 0 && place !== '' ? { host: place, port: ports[port].host } : undefined;
            },
            signal,
          );
          if (answer) return answer;
          try {
            const { exitCode, output } = await this.exec(ref, asked.member, asked.question.command ?? [], signal);
            return exitCode === 0 ? yes(Buffer.from(output).toString()) : no(`ended with code ${exitCode}`);
          } catch (error) {
            signal.throwIfAborted();
            const { reason, message } = Object(error) as { readonly reason?: string; readonly message?: string };
            return reason === 'member_stopped' ? no('does not run') : unknown(message ?? String(error));
          }
        }),
      );
    },
    async *logs({ member, isFollowing, tail, ...ref }, signal) {
      const sets = await asking(signal, askMs, (patience) => within(scope, 'StatefulSet', ref, patience));
      const names = sets.items.map(({ metadata }) => metadata.name).filter((name) => member === '' || name === member);
      const sources = names.map(async function* (name) {
        const path = `${pathOf('Pod', spaceOf(scope, ref))}/${podOf(name)}/log`;
        const query = { container: 'member', follow: isFollowing, tailLines: tail, timestamps: true };
        try {
          for await (const line of api.lines(path, query, signal)) yield logLine(name, line, false);
        } catch (error) {
          // A member that is stopped has no pod, so it has no lines.
          if (!isGone(error)) throw kubeFault(error);
        }
      });
      yield* merged(sources);
    },
    async *use(ref, isFollowing, signal) {
      for (;;) {
        yield await asking(signal, askMs, (patience) => used(ref, patience));
        if (!isFollowing) return;
        await rest(againMs, signal);
        if (signal.aborted) return;
      }
    },
    exec: (ref, member, command, signal) =>
      asking(signal, changeMs, async (patience) => {
        const { members } = await observe(scope, ref.cluster, patience);
        const seen = members.find((one) => one.member === member && one.incarnation === ref.incarnation);
        if (!seen) throw memberMissing(ref, member);
        if (seen.state === 'unknown')
          throw failedPrecondition(`Member "${member}" of cluster "${ref.cluster}" cannot be reached: ${seen.message}`, {
            reason: 'member_unreachable',
          });
        if (seen.state !== 'running')
          throw failedPrecondition(`Member "${member}" of cluster "${ref.cluster}" does not run`, { reason: 'member_stopped' });
        return await api.exec(spaceOf(scope, ref), podOf(member), command, patience);
      }),
    saveVolume: (ref, member, volume, signal) =>
      saveVolume(scope, { ...ref, member, volume, helperImage: helperImage() }, signal),
    loadVolume: (ref, member, volume, archive, signal) =>
      loadVolume(scope, { ...ref, member, volume, helperImage: helperImage() }, archive, signal),
    async *watch(signal) {
      const labelSelector = selectorOf(fleet, host);
      while (!signal.aborted) {
        // What has changed while nobody watched is not told of: everything is looked at once, then what comes after.
        const { items, metadata } = await asking(signal, askMs, (patience) => ours(scope, 'Pod', patience));
        for (const { metadata: pod } of items) yield readMarks(pod.labels)?.cluster ?? '';
        const query = { watch: true, labelSelector, resourceVersion: metadata.resourceVersion, timeoutSeconds: watchSeconds };
        try {
          for await (const line of api.lines(pathOf('Pod', ''), query, signal)) {
            const { type, object } = JSON.parse(line) as { readonly type: string; readonly object: KubeObject };
            if (type === 'ERROR') break;
            const cluster = readMarks(object.metadata.labels)?.cluster;
            if (cluster) yield cluster;
          }
        } catch (error) {
          throw kubeFault(error);
        }
      }
    },
    [Symbol.asyncDispose]: async () => undefined,
  };
}
