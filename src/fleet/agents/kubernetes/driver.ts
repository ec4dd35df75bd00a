import { failedPrecondition, notFound } from '#kernel/fault.ts';
import { createKeyedLock } from '#lib/keyed-lock.ts';
import { rest } from '#lib/rest.ts';
import type { PlannedMember } from '../../blueprints/logic/plan-members.ts';
import type { ClusterRef, Driver, Leftover, MemberUse, SeenMember } from '../../driver/driver.ts';
import { askNetwork, no, unknown, yes } from '../logic/ask-network.ts';
import { logLine } from '../logic/log-line.ts';
import { readMarks } from '../logic/marks.ts';
import { merged } from '../logic/merged.ts';
import { noVolumes } from '../logic/no-volumes.ts';
import { asking, isGone, type Kind, type KubeApi, KubeError, type KubeList, type KubeObject, kubeFault, pathOf } from './api.ts';
import { type Manifest, memberManifests, namespaceManifests, namespaceOf, type Owner, selectorOf } from './manifests.ts';
import { quantity } from './quantity.ts';
import { isSettled, type NodeView, type PodView, readMember, refusalOf, type StatefulSetView } from './read-member.ts';

export interface KubernetesDriverOptions {
  readonly api: KubeApi;
  readonly host: string;
  readonly fleet: string;
}

const askMs = 30_000;
const changeMs = 110_000;
/** How long is waited for a pod's first steps, in which most of what can be wrong with it comes out. */
const settleMs = 20_000;
const soonMs = 200;
/** A watch is opened anew as often: networks forget connections on which nothing is said. */
const watchSeconds = 240;
const againMs = 1000;

/** Clusters as namespaces: a StatefulSet of one pod for each member. */
export function createKubernetesDriver({ api, host, fleet }: KubernetesDriverOptions): Driver {
  const locks = createKeyedLock();
  const lockOf = ({ cluster, incarnation }: ClusterRef): string => `${cluster}/${incarnation}`;
  const ownerOf = ({ cluster, incarnation }: ClusterRef): Owner => ({ fleet, host, cluster, incarnation });
  const spaceOf = (ref: ClusterRef): string => namespaceOf(ownerOf(ref));
  const podOf = (member: string): string => `${member}-0`;
  const missing = (ref: ClusterRef, member: string): Error =>
    notFound(`There is no member "${member}" of cluster "${ref.cluster}" here`, { reason: 'member_missing' });

  const ours = <T extends KubeObject>(kind: Kind, signal: AbortSignal, cluster?: string): Promise<KubeList<T>> =>
    api.list<T>(kind, '', { labelSelector: selectorOf(fleet, host, cluster) }, signal);
  const within = <T extends KubeObject>(kind: Kind, ref: ClusterRef, signal: AbortSignal): Promise<KubeList<T>> =>
    api.list<T>(kind, spaceOf(ref), { labelSelector: selectorOf(fleet, host, ref.cluster, ref.incarnation) }, signal);

  async function observe(cluster: string | undefined, signal: AbortSignal) {
    const [sets, pods, nodes, spaces] = await Promise.all([
      ours<StatefulSetView>('StatefulSet', signal, cluster),
      ours<PodView>('Pod', signal, cluster),
      api.list<NodeView>('Node', '', {}, signal),
      ours('Namespace', signal, cluster),
    ]);
    const byName = new Map(pods.items.map((pod) => [`${pod.metadata.namespace}/${pod.metadata.name}`, pod]));
    const node = new Map(nodes.items.map((one) => [one.metadata.name, one]));
    const members = sets.items.flatMap((set): SeenMember[] => {
      const pod = byName.get(`${set.metadata.namespace}/${podOf(set.metadata.name)}`);
      const seen = readMember(set, pod, (name) => node.get(name));
      return seen ? [seen] : [];
    });
    const whole = new Set(members.map(lockOf));
    const leftovers = spaces.items.flatMap(({ metadata: { name, labels } }): Leftover[] => {
      const marks = readMarks(labels);
      if (!marks || whole.has(lockOf(marks))) return [];
      return [{ kind: 'namespace', name, cluster: marks.cluster, incarnation: marks.incarnation }];
    });
    return { members, leftovers };
  }

  async function create(ref: ClusterRef, members: readonly PlannedMember[], signal: AbortSignal): Promise<void> {
    const owner = ownerOf(ref);
    const there = new Set((await within('StatefulSet', ref, signal)).items.map(({ metadata }) => metadata.name));
    const missingOnes = members.filter(({ name }) => !there.has(name));
    const unfit = missingOnes.find(({ image }) => image === '');
    if (unfit) {
      const message = `Member "${unfit.name}" has no image, so it cannot run in a container`;
      throw failedPrecondition(message, { reason: 'image_missing' });
    }
    if (missingOnes.length > 0) for (const manifest of namespaceManifests(owner)) await apply(manifest, signal);
    for (const member of members) {
      if (there.has(member.name)) await begin(ref, member.name, signal);
      else for (const manifest of memberManifests(owner, member)) await apply(manifest, signal);
    }
    await settle(ref, new Set(members.map(({ name }) => name)), signal);
  }

  /** A namespace that is on its way out takes nothing in, and of two that make one thing at once the slower is refused: both is tried again. */
  async function apply(manifest: Manifest, signal: AbortSignal): Promise<void> {
    for (;;) {
      try {
        await api.apply(manifest, signal);
        return;
      } catch (error) {
        const isPassing = error instanceof KubeError && (error.status === 409 || /being terminated/.test(error.message));
        if (!isPassing) throw error;
      }
      await rest(soonMs, signal);
      signal.throwIfAborted();
    }
  }

  /** Waits for the first steps of pods. Errors: `image_missing`, `member_rejected`, `quota_exceeded`; none for what only takes long. */
  async function settle(ref: ClusterRef, wanted: ReadonlySet<string>, signal: AbortSignal): Promise<void> {
    const early = AbortSignal.any([signal, AbortSignal.timeout(settleMs)]);
    for (;;) {
      const pods = (await within<PodView>('Pod', ref, signal)).items.filter(({ metadata }) =>
        wanted.has(metadata.labels?.['cellar.member'] ?? ''),
      );
      for (const pod of pods) {
        const refusal = refusalOf(pod);
        if (!refusal) continue;
        throw failedPrecondition(
          `The cluster cannot run member "${pod.metadata.labels?.['cellar.member']}": ${refusal.message}`,
          {
            reason: refusal.reason,
            hint: 'Bring the image to the nodes or to a registry they reach, or name another with the blueprint\'s parameter "image".',
          },
        );
      }
      if (pods.length === wanted.size && pods.every(isSettled)) return;
      if (pods.length < wanted.size) await assertNotRefused(ref, signal);
      await rest(soonMs, early);
      signal.throwIfAborted();
      if (early.aborted) return;
    }
  }

  /** Of pods that there are not, only events tell why. */
  async function assertNotRefused(ref: ClusterRef, signal: AbortSignal): Promise<void> {
    const fieldSelector = 'type=Warning,reason=FailedCreate';
    const { items } = await api.list<KubeObject & { readonly message?: string }>(
      'Event',
      spaceOf(ref),
      { fieldSelector },
      signal,
    );
    const said = items.find(({ message = '' }) =>
      /exceeded quota|must specify limits|PodSecurity|denied the request/.test(message),
    );
    if (!said) return;
    const isQuota = /quota|must specify/.test(said.message ?? '');
    throw failedPrecondition(`The cluster refuses a member: ${said.message}`, {
      reason: isQuota ? 'quota_exceeded' : 'member_rejected',
    });
  }

  /** Wants a pod of a member, and one that has ended to start at once. */
  async function begin(ref: ClusterRef, member: string, signal: AbortSignal): Promise<void> {
    const set = (await within<StatefulSetView>('StatefulSet', ref, signal)).items.find(
      ({ metadata }) => metadata.name === member,
    );
    if (!set) throw missing(ref, member);
    if (set.spec.replicas === 0) return await api.merge('StatefulSet', spaceOf(ref), member, { spec: { replicas: 1 } }, signal);
    const pod = (await within<PodView>('Pod', ref, signal)).items.find(({ metadata }) => metadata.name === podOf(member));
    // Kubernetes would start it again too, in its own time, which doubles with every end.
    if (pod && isSettled(pod) && !pod.status.containerStatuses?.[0]?.state?.running)
      await api.remove('Pod', spaceOf(ref), podOf(member), {}, signal);
  }

  async function stop(ref: ClusterRef, member: string, signal: AbortSignal): Promise<void> {
    try {
      await api.merge('StatefulSet', spaceOf(ref), member, { spec: { replicas: 0 } }, signal);
    } catch (error) {
      if (isGone(error)) return;
      throw error;
    }
    for (;;) {
      const { members } = await observe(ref.cluster, signal);
      const seen = members.find((one) => one.member === member && one.incarnation === ref.incarnation);
      const { items } = await within<PodView>('Pod', ref, signal);
      if (!seen || seen.state === 'unknown' || !items.some(({ metadata }) => metadata.name === podOf(member))) return;
      await rest(soonMs, signal);
      signal.throwIfAborted();
    }
  }

  async function remove(ref: ClusterRef, signal: AbortSignal): Promise<number> {
    const namespace = spaceOf(ref);
    const spaces = async () =>
      (await ours('Namespace', signal, ref.cluster)).items.filter(({ metadata }) => metadata.name === namespace);
    if ((await spaces()).length === 0) return 0;
    const kinds: readonly Kind[] = ['StatefulSet', 'Service', 'ConfigMap', 'Secret', 'PersistentVolumeClaim', 'NetworkPolicy'];
    const counts = await Promise.all(kinds.map(async (kind) => (await within(kind, ref, signal)).items.length));
    await api.remove('Namespace', '', namespace, {}, signal);
    // Nothing of it is kept, so it need not end nicely.
    for (const { metadata } of (await within('Pod', ref, signal)).items)
      await api.remove('Pod', namespace, metadata.name, { gracePeriodSeconds: 1 }, signal);
    while ((await spaces()).length > 0) {
      await rest(soonMs, signal);
      signal.throwIfAborted();
    }
    return counts.reduce((sum, count) => sum + count, 1);
  }

  async function used(ref: ClusterRef, signal: AbortSignal): Promise<readonly MemberUse[]> {
    interface PodMetrics extends KubeObject {
      readonly containers: readonly { readonly usage: { readonly cpu: string; readonly memory: string } }[];
    }
    let items: readonly PodMetrics[];
    try {
      ({ items } = await within<PodMetrics>('PodMetrics', ref, signal));
    } catch (error) {
      if (!isGone(error)) throw error;
      throw failedPrecondition('This Kubernetes cluster does not measure what pods use', {
        reason: 'metrics_missing',
        hint: 'Install metrics-server there.',
      });
    }
    return items.map(({ metadata, containers }) => ({
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
          abilities: hasMetrics ? ['exec', 'limits', 'stats'] : ['exec', 'limits'],
        };
      }),
    observe: (cluster, signal) => asking(signal, askMs, (patience) => observe(cluster, patience)),
    create: (ref, members, _labels, signal) =>
      asking(signal, changeMs, (patience) => locks.run(lockOf(ref), () => create(ref, members, patience))),
    start: (ref, members, signal) =>
      asking(signal, askMs, async (patience) => {
        for (const member of members) await begin(ref, member, patience);
      }),
    stop: (ref, members, signal) =>
      asking(signal, changeMs, async (patience) => {
        for (const member of members) await stop(ref, member, patience);
      }),
    remove: (ref, signal) => asking(signal, changeMs, (patience) => locks.run(lockOf(ref), () => remove(ref, patience))),
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
      const sets = await asking(signal, askMs, (patience) => within('StatefulSet', ref, patience));
      const names = sets.items.map(({ metadata }) => metadata.name).filter((name) => member === '' || name === member);
      const sources = names.map(async function* (name) {
        const path = `${pathOf('Pod', spaceOf(ref))}/${podOf(name)}/log`;
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
        const { members } = await observe(ref.cluster, patience);
        const seen = members.find((one) => one.member === member && one.incarnation === ref.incarnation);
        if (!seen) throw missing(ref, member);
        if (seen.state !== 'running')
          throw failedPrecondition(`Member "${member}" of cluster "${ref.cluster}" does not run`, { reason: 'member_stopped' });
        return await api.exec(spaceOf(ref), podOf(member), command, patience);
      }),
    ...noVolumes('kubernetes'),
    async *watch(signal) {
      const labelSelector = selectorOf(fleet, host);
      while (!signal.aborted) {
        // What has changed while nobody watched is not told of: everything is looked at once, then what comes after.
        const { items, metadata } = await asking(signal, askMs, (patience) => ours('Pod', patience));
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
