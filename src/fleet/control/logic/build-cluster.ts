import type { Transaction } from '#kernel/database/database.ts';
import { aborted, exhausted, failedPrecondition, invalidArgument } from '#kernel/fault.ts';
import { makeSecrets } from '../../blueprints/logic/make-secrets.ts';
import { clusterWeight, fillParameters, memberGoals, portWishes } from '../../blueprints/logic/plan-members.ts';
import type { Labels } from '../../common/words.ts';
import { hasLabels } from '../store/fits-wish.ts';
import type { HostUse, StoredCluster, StoredHost } from '../store/store.ts';
import { changesFor } from './cluster-verbs.ts';
import type { ControlParts } from './control-parts.ts';
import { type FleetEvent, factsOf } from './events.ts';

export interface ClusterWish {
  /** Absent: one is made up. */
  readonly name?: string;
  /** Absent: the host with most room. */
  readonly host?: string;
  /** The host must have these. */
  readonly hostLabels?: Labels;
  readonly blueprint: string;
  readonly parameters: Labels;
  readonly labels: Labels;
}

const hostsMax = 1000;
const attemptsMax = 5;
/** Ports asked for beyond those needed, since some may be taken by others. */
const sparePorts = 32;
const probeMs = 5000;

/**
 * Takes a place, ports and a row for a cluster; the watchdog then builds it.
 * Errors: `not_found` for a blueprint or host; `invalid_argument` for parameters; `host_full`, `host_closed`, `ports_used_up`; `already_exists`.
 */
export async function buildCluster(parts: ControlParts, wish: ClusterWish, actor: string): Promise<StoredCluster> {
  const { database, store, now } = parts;
  const { blueprint, digest } = await parts.blueprint(wish.blueprint);
  const parameters = fillParameters(blueprint, wish.parameters);
  const weight = clusterWeight(blueprint, parameters);
  const host =
    wish.host === undefined ? await roomiest(parts, blueprint.agents, weight, wish.hostLabels) : await store.host(wish.host);
  if (host && !blueprint.agents.includes(host.spec.type) && host.spec.type !== 'simulated') {
    throw invalidArgument(
      `Blueprint "${blueprint.name}" does not run on host "${host.name}", which is of type "${host.spec.type}"`,
      {
        reason: 'agent_unfit',
        hint: `It runs on: ${blueprint.agents.join(', ')}.`,
      },
    );
  }
  if (host && !hasLabels(host.spec.labels, wish.hostLabels)) {
    throw failedPrecondition(`Host "${host.name}" has not the labels ${labelText(wish.hostLabels)}`, { reason: 'host_unfit' });
  }
  const members = memberGoals(blueprint, parameters);
  const ports = host ? portWishes(blueprint, parameters, host.spec.type) : [];
  const secrets = await makeSecrets(blueprint, parameters, parts.newSecret, now());
  const avoidPorts = new Set<number>();
  for (let attempt = 1; ; attempt++) {
    const name = wish.name ?? `${blueprint.name}-${parts.newSecret(3)}`;
    const cluster = await database.transaction(async (tx) => {
      const added = await store.addCluster(tx, {
        ...{
          name,
          host: wish.host ?? host?.name ?? '',
          blueprint: blueprint.name,
          digest,
          parameters,
          labels: wish.labels,
          secrets,
        },
        ...{ weight, members, ports, nowMs: now(), avoidPorts: [...avoidPorts] },
      });
      const message = `Cluster ${name} of ${blueprint.name} was asked for on host ${added.host}`;
      const event = {
        kind: 'cluster',
        name,
        cluster: name,
        ...factsOf(added),
        reason: 'ClusterAsked',
        message,
        actor,
        severity: 'info',
      } as const;
      await parts.append(tx, [event]);
      return added;
    });
    const taken = await takenPorts(parts, cluster);
    if (taken.length === 0 || attempt === attemptsMax) {
      parts.look(cluster.name);
      return cluster;
    }
    // Somebody else on the host listens there: give the ports back and take others.
    for (const port of taken) avoidPorts.add(port);
    const own = cluster.ports.map(({ port }) => port).filter((port) => taken.includes(port));
    if (!(await giveBack(parts, cluster, own, actor)) && wish.name !== undefined) {
      throw aborted(`Cannot make cluster "${name}": others use ports that it was given`, {
        reason: 'ports_taken',
        hint: 'Make it again in a moment.',
      });
    }
  }
}

/** Gives a place back; what a look at the cluster has begun meanwhile goes with it. Result: whether its name is free again at once. */
async function giveBack(parts: ControlParts, asked: StoredCluster, taken: readonly number[], actor: string): Promise<boolean> {
  const { database, store, look, now } = parts;
  const { name, host } = asked;
  const message = `Cluster ${name} gives its place back: others on host ${host} use ports that it was given (${taken.join(', ')})`;
  const told: FleetEvent = {
    ...{ kind: 'cluster', name, cluster: name, ...factsOf(asked), reason: 'PortsTaken', message },
    ...{ actor, severity: 'warning' },
  };
  const change = (work: (tx: Transaction) => Promise<unknown>): Promise<boolean> =>
    database.transaction(async (tx) => {
      if ((await work(tx)) === 'conflict') return false;
      await parts.append(tx, [told]);
      return true;
    });
  if (await change((tx) => store.removeCluster(tx, name, asked.version))) return true;
  for (let cluster = await store.cluster(name); cluster; cluster = await store.cluster(name)) {
    const seen = cluster;
    if (!(await change((tx) => store.updateCluster(tx, name, seen.version, changesFor('delete', seen, now()))))) continue;
    look(name);
    return false;
  }
  return true;
}

/** Of the ports just reserved those that are in use on the host. A host that does not answer has none: its agent will say. */
async function takenPorts(parts: ControlParts, { host, ports }: StoredCluster): Promise<readonly number[]> {
  if (ports.length === 0) return [];
  const highest = Math.max(...ports.map(({ port }) => port));
  const asked = [...ports.map(({ port }) => port), ...Array.from({ length: sparePorts }, (_, at) => highest + 1 + at)].filter(
    (port) => port < 65_536,
  );
  let free: ReadonlySet<number>;
  try {
    const driver = await parts.driverOf(host);
    free = new Set(await driver.freePorts(asked, AbortSignal.timeout(probeMs)));
  } catch {
    return [];
  }
  return ports.some(({ port }) => !free.has(port)) ? asked.filter((port) => !free.has(port)) : [];
}

/** The open host of a fitting type with the most free places. Errors: `host_full` that says what was looked at. */
async function roomiest(
  parts: ControlParts,
  agents: readonly string[],
  weight: number,
  labels: Labels = {},
): Promise<StoredHost & HostUse> {
  const hosts = await parts.store.hosts('', hostsMax);
  const fitting = hosts.filter(
    ({ spec }) => (agents.includes(spec.type) || spec.type === 'simulated') && hasLabels(spec.labels, labels),
  );
  const which = Object.keys(labels).length > 0 ? ` with the labels ${labelText(labels)}` : '';
  const open = fitting.filter(({ spec, state, deletedMs }) => !spec.cordoned && state === 'active' && deletedMs === 0);
  const roomy = open.filter((host) => hasRoom(host, weight)).toSorted((a, b) => roomOf(b) - roomOf(a));
  if (roomy[0]) return roomy[0];
  throw exhausted(
    `No host${which} has room for another cluster: ${fitting.length} of ${hosts.length} hosts fit, ${open.length} of them are open`,
    {
      reason: 'host_full',
      hint: 'Add a host, raise a capacity, or uncordon a host.',
    },
  );
}

const labelText = (labels: Labels = {}): string =>
  Object.entries(labels)
    .map(([name, value]) => `${name}=${value}`)
    .join(',');

export function hasRoom({ spec, clusters, weight: used }: StoredHost & HostUse, weight: number): boolean {
  return clusters < spec.capacity && (spec.capacityWeight === 0 || used + weight <= spec.capacityWeight);
}

const roomOf = ({ spec, clusters }: StoredHost & HostUse): number => spec.capacity - clusters;
