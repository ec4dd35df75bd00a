import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Cluster, Cluster_Health } from '#gen/cellar/fleet/v1/clusters_pb.ts';
import { type FleetPlatform, userNamed } from './fleet-platform.ts';

/** Where a scenario plays, and how it reaches members behind the fleet's back. */
export interface ChainGround {
  readonly fleet: FleetPlatform;
  /** A host that is there and has room. */
  readonly host: string;
  /** Absent: the blueprint's own. */
  readonly image?: string;
  /** Ends a member's program by force (SIGKILL), without any word to the fleet. */
  kill(cluster: Cluster, member: string): Promise<void>;
  /** A member runs on and answers nobody any more, such as by SIGSTOP or a cut network. */
  freeze(cluster: Cluster, member: string): Promise<void>;
  thaw(cluster: Cluster, member: string): Promise<void>;
  /** How long one step may take; 60 s when absent. */
  readonly patienceMs?: number;
}

const ann = userNamed('ann');

export interface Used {
  readonly claim: string;
  readonly cluster: Cluster;
  readonly connection: Readonly<Record<string, string>>;
}

/** Builds a cluster on demand and takes it, as a user does. */
export async function apply(
  { fleet, host, image, patienceMs = patienceMsDefault }: ChainGround,
  blueprint: string,
  parameters: Readonly<Record<string, string>>,
  allowMultiple = false,
): Promise<Used> {
  const { engine, clusters } = fleet.as(ann);
  const claim = await engine.apply({
    blueprint,
    parameters: { ...parameters, ...(image === undefined ? {} : { image }) },
    selectors: [{ host }],
    allowMultiple,
    waitSeconds: Math.ceil(patienceMs / 1000),
  });
  assert.ok(claim.cluster);
  const { endpoints, secrets } = await clusters.getConnection({ name: claim.cluster.name });
  return { claim: claim.id, cluster: claim.cluster, connection: { ...endpoints, ...secrets } };
}

export async function release({ fleet }: ChainGround, { claim }: Used): Promise<void> {
  await fleet.as(ann).engine.release({ id: claim });
}

/** Waits until a cluster's health is one of these, and its reason and message look so; it must never be built anew meanwhile. */
export async function shows(ground: ChainGround, used: Used, healths: readonly Cluster_Health[], why = /(?:)/): Promise<void> {
  const { clusters } = ground.fleet.as(ann);
  const words = healths.map(wordOf).join(' or ');
  await so(ground, `the cluster is ${words} for ${why}`, async (see) => {
    const { health, conditions, incarnation, members } = await clusters.getCluster({ name: used.cluster.name });
    assert.equal(incarnation, used.cluster.incarnation, 'a used cluster is not built anew');
    const { reason = '', message = '' } = conditions.find(({ type }) => type === 'Healthy') ?? {};
    see(`${wordOf(health)} ${reason}: ${message}; ${members.map(({ name, message: text }) => `${name} ${text}`).join(', ')}`);
    return healths.includes(health) && why.test(`${reason}: ${message}`);
  });
}

/** Ends a member by force, and waits until the watchdog has started it again and all is well. */
export async function killAndHeal(ground: ChainGround, used: Used, member: string): Promise<void> {
  const startNs = async (): Promise<bigint> => {
    const { members } = await ground.fleet.as(ann).clusters.getCluster({ name: used.cluster.name });
    const { seconds = 0n, nanos = 0 } = members.find(({ name }) => name === member)?.startTime ?? {};
    return seconds * 1_000_000_000n + BigInt(nanos);
  };
  const before = await startNs();
  assert.ok(before > 0n, `${member} runs`);
  await ground.kill(used.cluster, member);
  await so(ground, `${member} is started again`, async () => (await startNs()) > before);
  await shows(ground, used, [Cluster_Health.OK]);
}

const wordOf = (health: Cluster_Health): string =>
  Object.entries(Cluster_Health).find(([, value]) => value === health)?.[0] ?? '';

const patienceMsDefault = 60_000;
const lookMs = 100;

/** Errors: after the ground's patience, with what was seen last. */
export async function so(
  { patienceMs = patienceMsDefault }: ChainGround,
  what: string,
  isSo: (see: (seen: string) => void) => Promise<boolean>,
): Promise<void> {
  const deadline = performance.now() + patienceMs;
  let last = '';
  const see = (seen: string): void => {
    last = seen;
  };
  // A connection may have been left over from before a kill: that is no answer.
  const ask = (): Promise<boolean> =>
    isSo(see).catch((error: unknown) => {
      if (error instanceof TypeError && error.message === 'fetch failed') return false;
      throw error;
    });
  while (!(await ask())) {
    if (performance.now() > deadline) throw new Error(`Not so after ${patienceMs} ms: ${what}. Last seen: ${last}`);
    await sleep(lookMs);
  }
}
