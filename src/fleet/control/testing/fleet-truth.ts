import type { FleetEvent } from '../logic/events.ts';
import type { StoredClaim, StoredCluster, StoredHost } from '../store/store.ts';
import type { SimulatedFleet } from './simulated-fleet.ts';
import { type SimulatedPlatform, storm } from './simulated-platform.ts';
import type { Process } from './turns.ts';

type HostRow = StoredHost & { readonly clusters: number; readonly weight: number };
export type Effect = 'create' | 'start' | 'stop' | 'remove';

interface Snapshot {
  readonly clusters: ReadonlyMap<string, StoredCluster>;
  readonly hosts: ReadonlyMap<string, HostRow>;
  readonly bound: ReadonlyMap<string, StoredClaim>;
}

const eventOf: Readonly<Record<Effect, string>> = {
  ...{ create: 'MembersCreating', start: 'MembersStarting', stop: 'MembersStopping', remove: 'MembersRemoving' },
};

/** What has to hold in a simulated fleet, looked at after every commit and at every change of an engine. */
export class FleetTruth {
  readonly problems: string[] = [];
  /** Hosts that people have closed, as far as they know. */
  readonly closed = new Set<string>();
  readonly #fleet: SimulatedFleet;
  #before: Snapshot = { clusters: new Map(), hosts: new Map(), bound: new Map() };
  readonly #ordered = new Set<string>();
  /** By cluster and word. */
  readonly #told = new Map<string, number>();
  readonly #done = new Map<string, number>();

  constructor(fleet: SimulatedFleet) {
    this.#fleet = fleet;
  }

  /** How often each kind of thing was told of. */
  readonly seen = new Map<string, number>();

  wrong(what: string): void {
    this.problems.push(what);
  }

  /** People have asked for it: a verb of a cluster, or of all clusters of a host. */
  order(verb: 'reset' | 'own-reset' | 'delete', name: string): void {
    this.#ordered.add(`${verb} ${name}`);
  }

  #isOrdered(verb: 'reset' | 'own-reset' | 'delete', { name, host }: StoredCluster): boolean {
    return this.#ordered.has(`${verb} ${name}`) || this.#ordered.has(`${verb} ${host}`);
  }

  onTold(process: SimulatedPlatform, events: readonly FleetEvent[]): void {
    const fence = this.#fleet.database.sqlite?.get<{ epoch: number }>('select epoch from cellar_fences')?.epoch ?? 0;
    for (const event of events) {
      const { kind, name, reason, message, actor, cluster } = event;
      if ([kind, name, reason, message, actor].includes('')) this.wrong(`an event does not say all: ${JSON.stringify(event)}`);
      if ((actor === 'watchdog' || actor === 'autofill') && process.epoch < fence)
        this.wrong(`${process.name} of epoch ${process.epoch} wrote after ${fence}: ${message}`);
      count(this.seen, reason);
      if (cluster) count(this.#told, `${cluster} ${reason}`);
    }
  }

  onEffect(host: string, verb: Effect, name: string, incarnation: number): void {
    const done = count(this.#done, `${name} ${eventOf[verb]}`);
    const told = this.#told.get(`${name} ${eventOf[verb]}`) ?? 0;
    if (done > told && !(verb === 'remove' && this.#told.has(`${name} OrphanRemoved`)))
      this.wrong(`${verb} of ${name} was done ${done} times and told ${told} times`);
    if (verb !== 'remove') return;
    const row = this.#fleet.clusters().find((cluster) => cluster.name === name && cluster.host === host);
    if (row?.incarnation === incarnation && !row.isRecycling && row.desired !== 'absent')
      this.wrong(`${name}.${incarnation} is removed, and nobody wants that`);
  }

  onCommit(process: Process): void {
    const { clusters: list } = { clusters: this.#fleet.clusters() };
    const now: Snapshot = {
      clusters: new Map(list.map((cluster) => [cluster.name, cluster])),
      hosts: new Map(this.#fleet.hosts().map((host) => [host.name, host])),
      bound: new Map(this.#fleet.claims('bound').map((claim) => [claim.id, claim])),
    };
    this.#checkClaims(now);
    this.#checkPlaces(now);
    for (const before of this.#before.clusters.values()) this.#checkStep(process, before, now);
    this.#before = now;
  }

  #checkClaims({ clusters, bound }: Snapshot): void {
    for (const { id, cluster } of bound.values())
      if (clusters.get(cluster)?.claim !== id)
        this.wrong(`claim ${id} has ${cluster}, which has claim "${clusters.get(cluster)?.claim}"`);
    for (const { name, claim, host } of clusters.values()) {
      if (claim === '') continue;
      if (bound.get(claim)?.cluster !== name)
        this.wrong(`${name} is used by claim ${claim}, which has "${bound.get(claim)?.cluster}"`);
      if (this.#before.bound.has(claim)) continue;
      const before = this.#before.hosts.get(host);
      if (before && (before.spec.cordoned || before.deletedMs > 0 || !['active', 'unreachable'].includes(before.state)))
        this.wrong(`${name} is given out, and host ${host} is ${before.spec.cordoned ? 'cordoned' : before.state}`);
    }
    const users = new Map<string, number>();
    for (const { user } of [...bound.values(), ...this.#fleet.claims('waiting')]) count(users, user);
    const counted =
      this.#fleet.database.sqlite?.all<{ user: string; claims: number }>('select user_id as user, claims from claimers') ?? [];
    for (const { user, claims } of counted)
      if (claims !== (users.get(user) ?? 0)) this.wrong(`${user} has ${users.get(user) ?? 0} claims, and ${claims} are counted`);
  }

  #checkPlaces({ clusters, hosts }: Snapshot): void {
    const ports =
      this.#fleet.database.sqlite?.all<{ host: string; port: number; cluster: string }>(
        'select host, port, cluster from ports',
      ) ?? [];
    const wanted = [...clusters.values()].flatMap(({ name, host, ports: own }) =>
      own.map(({ port }) => `${host} ${port} ${name}`),
    );
    if (
      new Set(wanted).size !== wanted.length ||
      wanted.toSorted().join() !==
        ports
          .map(({ host, port, cluster }) => `${host} ${port} ${cluster}`)
          .toSorted()
          .join()
    )
      this.wrong(`ports are not those of the clusters: ${JSON.stringify(ports)}`);
    const byHost = Map.groupBy(clusters.values(), ({ host }) => host);
    for (const host of byHost.keys()) if (!hosts.has(host)) this.wrong(`clusters lie on host ${host}, which is not there`);
    for (const { name, clusters: taken, weight, spec } of hosts.values()) {
      const own = byHost.get(name) ?? [];
      const sum = own.reduce((all, one) => all + one.weight, 0);
      if (taken !== own.length || weight !== sum)
        this.wrong(`host ${name} counts ${taken} clusters of ${weight}, and there are ${own.length} of ${sum}`);
      if (taken > spec.capacity || (spec.capacityWeight > 0 && weight > spec.capacityWeight))
        this.wrong(`host ${name} is overfull`);
    }
  }

  #checkStep(process: Process, before: StoredCluster, { clusters, bound }: Snapshot): void {
    const { name, claim, incarnation } = before;
    const after = clusters.get(name);
    const isUsed = claim !== '' && bound.has(claim);
    const isGivenBack = this.#told.has(`${name} PortsTaken`);
    if (!after) {
      if (isUsed) this.wrong(`${name} is used and gone`);
      if (before.desired !== 'absent' && !isGivenBack) this.wrong(`${name} is gone, and nobody wanted that`);
      return;
    }
    if (after.incarnation !== incarnation && (!before.isRecycling || after.incarnation !== incarnation + 1))
      this.wrong(`${name} went from incarnation ${incarnation} to ${after.incarnation}`);
    if (
      after.desired === 'absent' &&
      before.desired !== 'absent' &&
      (isUsed || !(isGivenBack || this.#isOrdered('delete', before)))
    )
      this.wrong(`${name} is to be deleted, and ${isUsed ? 'is used' : 'nobody asked for that'}`);
    if (claim !== '' && after.claim === '' && after.desired === 'stopped') this.wrong(`${name} is released and stays stopped`);
    if (before.isRecycling || !after.isRecycling) return;
    if (isUsed) {
      if (!this.#isOrdered('own-reset', before) && before.readyMs !== undefined) this.wrong(`${name} is used and built anew`);
    } else if (claim === '' && !this.#isOrdered('reset', before)) this.#checkStorm(process as SimulatedPlatform, before);
  }

  /** What is built anew because it is sick: not while too much is. */
  #checkStorm({ counted, name: who }: SimulatedPlatform, { name, host }: StoredCluster): void {
    for (const group of [host, '']) {
      const { sick, all } = counted.get(group) ?? { sick: 0, all: 0 };
      if (sick > storm.sickMin && sick > all * storm.sickShareMax)
        this.wrong(`${who} builds ${name} anew while ${sick} of ${all} are sick ${group === '' ? 'in all' : `on ${group}`}`);
    }
  }
}

export function count(counts: Map<string, number>, key: string): number {
  const now = (counts.get(key) ?? 0) + 1;
  counts.set(key, now);
  return now;
}
