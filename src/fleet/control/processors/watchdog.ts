import { Fault } from '#kernel/fault.ts';
import { createKeyedLock } from '#lib/keyed-lock.ts';
import { rest } from '#lib/rest.ts';
import { createWorkQueue } from '#lib/work-queue.ts';
import { bindClaim, endClaim } from '../logic/claims.ts';
import { factsOf } from '../logic/events.ts';
import { isSeen } from '../logic/host-sights.ts';
import { hostChanges, isAway } from '../logic/host-status.ts';
import { type ReconcileParts, reconcileCluster } from '../logic/reconcile-cluster.ts';
import type { StormGuard } from '../logic/storm-guard.ts';
import type { StoredCluster, StoredHost } from '../store/store.ts';
import type { HostWatches } from './watch-hosts.ts';

export interface WatchdogParts extends ReconcileParts {
  readonly guard: StormGuard;
  /** Between two looks at everything. Unit: milliseconds. */
  readonly periodMs: () => number;
  readonly concurrency: number;
  readonly hostConcurrency: number;
  /** Builds one more cluster on the host, when it has templates and room; says whether it did. */
  readonly autofill: (host: StoredHost) => Promise<boolean>;
  /** Before a host is gone for good; may run again. */
  readonly releaseHost?: (host: StoredHost) => Promise<void>;
  /** Tells of what happens between two looks; absent: nothing does. */
  readonly watches?: HostWatches;
  /** After each look at everything, with how long it took. Unit: milliseconds. */
  readonly afterPass: (durationMs: number) => Promise<void>;
}

export interface Watchdog {
  /** Has a cluster looked at soon. */
  look(cluster: string): void;
  /** One look at everything; resolves when each cluster was looked at once. */
  pass(signal: AbortSignal): Promise<void>;
  /** Looks at everything again and again, and at single clusters as they need it, until the signal fires. */
  run(signal: AbortSignal): Promise<void>;
}

const pageSize = 500;
/** Most clusters built by autofill on one host in one pass. */
const autofillMax = 4;

/**
 * Keeps the fleet as it is wanted. Level-triggered: every period it looks at all there is, so nothing depends on a message that may be lost,
 * and what a killed predecessor has left half done is finished. Only one may run at a time, see `ReconcileParts.commit`.
 */
export function createWatchdog(parts: WatchdogParts): Watchdog {
  const { store, sights, log, now, guard } = parts;
  let running: AbortSignal = AbortSignal.abort();
  const hostsOf = new Map<string, string>();
  /** A pass and the queue may want the same cluster at once. */
  const locks = createKeyedLock();
  /** Hosts that are being looked at. */
  const busy = new Map<string, Promise<void>>();
  let passMs = 0;

  const queue = createWorkQueue({
    concurrency: parts.concurrency,
    groupConcurrency: parts.hostConcurrency,
    group: (cluster) => hostsOf.get(cluster) ?? cluster,
    work: async (cluster) => void (await lookAt(cluster, performance.now(), running)),
  });

  /** Looks at one cluster and asks for the next look. */
  async function lookAt(
    cluster: string,
    sinceMs: number,
    signal: AbortSignal,
    read?: Parameters<typeof reconcileCluster>[4],
  ): Promise<void> {
    try {
      const againMs = await locks.run(cluster, () => reconcileCluster(parts, cluster, sinceMs, signal, read));
      if (againMs === undefined) hostsOf.delete(cluster);
      // A healthy one is looked at in the next pass anyway.
      else if (againMs < parts.periodMs()) queue.add(cluster, againMs);
    } catch (error) {
      if (signal.aborted) return;
      const { reason } = Fault.from(error);
      if (reason !== 'version_differs') log.warn('a cluster could not be looked at', { cluster, error });
      queue.add(cluster, reason === 'version_differs' ? 0 : parts.limits.repair.firstMs);
    }
  }

  async function pass(signal: AbortSignal): Promise<void> {
    passMs = performance.now();
    const hosts = await all((after) => store.hosts(after, pageSize));
    const clusters = await all((after) => store.clusters({}, after, pageSize));
    guard.count(clusters);
    parts.watches?.keep(hosts, signal);
    for (const { name, host } of clusters) hostsOf.set(name, host);
    // A look at what was just removed may have left something behind.
    if (parts.progress.size > clusters.length) {
      const names = new Set(clusters.map(({ name }) => name));
      for (const name of parts.progress.keys()) if (!names.has(name)) parts.progress.delete(name);
    }
    const byHost = Map.groupBy(clusters, ({ host }) => host);
    const looks = hosts.map((host) => beginHost(host, byHost.get(host.name) ?? [], signal));
    // A host that takes long is gone on with, and holds up nobody else.
    await Promise.race([Promise.all(looks), rest(parts.periodMs(), signal, { isRef: false })]);
    await expireClaims(signal);
    await serveWaiting(signal);
    await removeHosts(hosts);
    await parts.afterPass(performance.now() - passMs);
  }

  /** Hosts that are to go and have nothing left on them; one that is away cannot be asked for what is left, and goes without. */
  async function removeHosts(hosts: readonly StoredHost[]): Promise<void> {
    for (const host of hosts) {
      const { name, deletedMs } = host;
      if (deletedMs === 0) continue;
      if (isAway(host)) for (const cluster of await store.clusters({ host: name }, '', pageSize)) await forget(cluster);
      if ((await store.clusters({ host: name }, '', 1)).length > 0) continue;
      try {
        await parts.releaseHost?.(host);
      } catch (error) {
        log.warn('a host could not be deleted yet', { host: name, error });
        continue;
      }
      const message = `Host ${name} is gone`;
      const event = { kind: 'host', name, host: name, reason: 'HostGone', message, actor: 'watchdog', severity: 'info' } as const;
      await parts.database.transaction(async (tx) => {
        await parts.commit(tx, [event]);
        await store.removeHost(tx, name);
      });
      sights.forget(name);
    }
  }

  /** Gives up what is to go and cannot be reached. Nothing happens to one that has changed meanwhile: it is looked at again. */
  async function forget(cluster: StoredCluster): Promise<void> {
    const { name, host, version, desired } = cluster;
    if (desired !== 'absent') return;
    const message = `Cluster ${name} is forgotten, since host ${host} does not answer; what is left of it goes when a host of this name and engine is added again`;
    await parts.database.transaction(async (tx) => {
      if ((await store.removeCluster(tx, name, version)) === 'conflict') return;
      await parts.commit(tx, [
        {
          ...{ kind: 'cluster', name, cluster: name, ...factsOf(cluster), actor: 'watchdog', severity: 'warning' },
          ...{ reason: 'ClusterForgotten', message },
        },
      ]);
    });
  }

  function beginHost(host: StoredHost, clusters: readonly StoredCluster[], signal: AbortSignal): Promise<void> {
    const known = busy.get(host.name);
    if (known) return known;
    const looking = passHost(host, clusters, signal).finally(() => busy.delete(host.name));
    busy.set(host.name, looking);
    return looking;
  }

  async function passHost(host: StoredHost, clusters: readonly StoredCluster[], signal: AbortSignal): Promise<void> {
    try {
      const sight = await sights.since(host.name, passMs, signal);
      const changes = hostChanges(host, sight, now());
      if (changes) await noteHost(host, changes);
      if (isSeen(sight)) await removeOrphans(host, sight.clusters, signal);
      const sinceMs = passMs;
      const left = clusters.values();
      const lane = async (): Promise<void> => {
        for (const cluster of left) {
          signal.throwIfAborted();
          await lookAt(cluster.name, sinceMs, signal, { cluster, host });
        }
      };
      await Promise.all(Array.from({ length: parts.hostConcurrency }, lane));
      if (isSeen(sight))
        for (let built = 0; built < autofillMax && (await parts.autofill(host)); built++) signal.throwIfAborted();
    } catch (error) {
      if (!signal.aborted) log.warn('a host could not be looked at', { host: host.name, error });
    }
  }

  async function noteHost(host: StoredHost, changes: Partial<StoredHost>): Promise<void> {
    const isNews = changes.state !== undefined && changes.state !== host.state;
    const message = changes.state === 'active' ? 'answers again' : `does not answer: ${changes.conditions?.[0]?.message ?? ''}`;
    await parts.database.transaction(async (tx) => {
      const event = {
        kind: 'host',
        name: host.name,
        host: host.name,
        actor: 'watchdog',
        message: `Host ${host.name} ${message}`,
      } as const;
      const reason = changes.state === 'active' ? 'HostAnswers' : 'HostUnreachable';
      const severity = changes.state === 'active' ? 'info' : 'error';
      const isNoted = (await store.updateHost(tx, { ...host, ...changes }, host.version)) !== 'conflict';
      await parts.commit(tx, isNews && isNoted ? [{ ...event, reason, severity }] : []);
    });
  }

  /** What carries our label and belongs to no cluster that is known: the rest of a deletion or of a creation that was cut off. */
  async function removeOrphans(host: StoredHost, seen: ReadonlySet<string>, signal: AbortSignal): Promise<void> {
    for (const cluster of seen) {
      // Asked now, not before: it may have been made since the look began.
      if ((await store.cluster(cluster))?.host === host.name) continue;
      const sight = await sights.since(host.name, 0, signal);
      if (!isSeen(sight)) return;
      const { members, leftovers } = sight.of(cluster);
      const driver = await parts.driverOf(host.name);
      // Told before it is done, as everything is: whoever was overtaken is refused here.
      await parts.database.transaction((tx) =>
        parts.commit(tx, [
          {
            ...{
              kind: 'host',
              name: host.name,
              host: host.name,
              cluster,
              actor: 'watchdog',
              severity: 'warning',
              reason: 'OrphanRemoved',
            },
            message: `Host ${host.name} had members of cluster ${cluster}, which is not there; they are removed`,
          },
        ]),
      );
      for (const incarnation of new Set([...members, ...leftovers].map((one) => one.incarnation)))
        await driver.remove({ cluster, incarnation }, signal);
    }
  }

  async function expireClaims(signal: AbortSignal): Promise<void> {
    for (const { id, cluster, state } of await store.expired(now(), pageSize)) {
      signal.throwIfAborted();
      await endClaim({ ...parts, append: parts.commit }, id, state === 'waiting' ? 'gave_up' : 'expired', 'watchdog');
      if (cluster !== '') queue.add(cluster);
    }
  }

  /** In the order they came: whoever waits longest for the same is served first. */
  async function serveWaiting(signal: AbortSignal): Promise<void> {
    const inVain = new Set<string>();
    for (const claim of await store.waiting(pageSize)) {
      signal.throwIfAborted();
      // What becomes free in between is for those before.
      const wish = JSON.stringify(claim.wish);
      if (!inVain.has(wish) && !(await bindClaim({ ...parts, append: parts.commit }, claim))) inVain.add(wish);
    }
  }

  return {
    look: (cluster) => queue.add(cluster),
    pass,
    async run(signal) {
      running = signal;
      const working = queue.run(signal);
      while (!signal.aborted) {
        const startMs = performance.now();
        try {
          await pass(signal);
        } catch (error) {
          if (!signal.aborted) log.warn('a look at the fleet was cut off', { error });
        }
        await rest(Math.max(0, parts.periodMs() - (performance.now() - startMs)), signal);
      }
      await working;
      await parts.mover?.settled();
    },
  };
}

async function all<T extends { readonly name: string }>(read: (after: string) => Promise<readonly T[]>): Promise<readonly T[]> {
  const found: T[] = [];
  for (let page = await read(''); page.length > 0; page = page.length < pageSize ? [] : await read(page.at(-1)?.name ?? ''))
    found.push(...page);
  return found;
}
