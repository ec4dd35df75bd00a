import { aborted, Fault, failedPrecondition, invalidArgument, notFound } from '#kernel/fault.ts';
import type { ClusterTemplate, HostSpec, HostUse, StoredCluster, StoredHost, StoredOperation } from '../store/store.ts';
import { buildCluster, hasRoom } from './build-cluster.ts';
import { endClaim } from './claims.ts';
import { changesFor } from './cluster-verbs.ts';
import type { ControlParts } from './control-parts.ts';
import type { FleetEvent } from './events.ts';
import { beginOperation } from './operations.ts';

const probeMs = 15_000;
const clustersMax = 100_000;

/**
 * Reaches the engine, finds out what it is, and adds the host; nothing is stored when that fails.
 * Errors: `failed_precondition` with reason `host_unreachable` or `host_type_differs`; `already_exists`; `invalid_argument`.
 */
export async function createHost(parts: ControlParts, name: string, spec: HostSpec, actor: string): Promise<StoredHost> {
  await assertSpec(parts, spec);
  const { fleet, now } = parts;
  const { type, address, credentials, remoteAgent: isRemote = false } = spec;
  let info: Awaited<ReturnType<Awaited<ReturnType<ControlParts['driverFor']>>['probe']>>;
  try {
    const driver = await parts.driverFor({ host: name, type, address, credentials, fleet, isRemote });
    info = await driver.probe(AbortSignal.timeout(probeMs));
  } catch (error) {
    const fault = Fault.from(error);
    throw failedPrecondition(`Cannot add host "${name}": ${fault.message}`, {
      reason: fault.reason === '' ? 'host_unreachable' : fault.reason,
      hint: fault.hint ?? 'Check its address and credentials, and that the engine runs.',
      cause: error,
    });
  }
  if (info.type !== type) {
    throw failedPrecondition(`Cannot add host "${name}" as "${type}": its engine is "${info.type}"`, {
      reason: 'host_type_differs',
      hint: `Give it the type "${info.type}".`,
    });
  }
  const host: StoredHost = {
    ...{
      name,
      spec,
      state: 'active',
      identity: info.identity,
      engine: info.version,
      generation: 1,
      observedGeneration: 1,
      version: 1,
    },
    ...{ conditions: [], seenMs: now(), createdMs: now(), deletedMs: 0, failures: 0 },
  };
  await parts.database.transaction(async (tx) => {
    await parts.store.addHost(tx, host);
    await parts.append(tx, [hostEvent(name, 'HostAdded', `was added: ${info.version}`, actor)]);
  });
  return host;
}

/** Errors: `not_found`; `aborted` with reason `version_differs`; `invalid_argument` for what cannot be changed; `capacity_below_use`. */
export async function updateHost(
  parts: ControlParts,
  name: string,
  changes: Partial<HostSpec>,
  version: number,
  actor: string,
): Promise<StoredHost> {
  for (;;) {
    const host = await find(parts, name);
    if (version !== 0 && version !== host.version) {
      throw aborted(`Cannot change host "${name}": it was changed meanwhile`, {
        reason: 'version_differs',
        hint: 'Read it again, then decide.',
      });
    }
    const spec = { ...host.spec, ...changes };
    for (const field of ['type', 'address', 'remoteAgent'] as const) {
      if ((spec[field] || '') === (host.spec[field] || '')) continue;
      const what = field === 'remoteAgent' ? 'place of the agent' : field;
      throw invalidArgument(`Cannot change the ${what} of host "${name}"`, {
        reason: 'field_fixed',
        hint: 'Add another host, and delete this one.',
      });
    }
    await assertSpec(parts, spec);
    const changed = { ...host, spec, generation: host.generation + 1, observedGeneration: host.generation + 1 };
    const done = await parts.database.transaction(async (tx) => {
      await parts.append(tx, [hostEvent(name, 'HostChanged', `was changed: ${Object.keys(changes).join(', ')}`, actor)]);
      return await parts.store.updateHost(tx, changed, host.version);
    });
    if (done !== 'conflict') return done;
  }
}

/** Builds clusters until the capacity is reached. */
export async function fillupHost(
  parts: ControlParts,
  name: string,
  template: ClusterTemplate | undefined,
  actor: string,
): Promise<StoredOperation> {
  const host = await find(parts, name);
  const templates = template ? [template] : host.spec.templates;
  if (templates.length === 0) {
    throw invalidArgument(`Cannot fill host "${name}": it has no template, and none was given`, {
      reason: 'template_missing',
      hint: 'Name a blueprint, or give the host a template.',
    });
  }
  const built: StoredCluster[] = [];
  while (built.length < clustersMax) {
    const cluster = await buildFirst(parts, name, templates, actor);
    if (!cluster) break;
    built.push(cluster);
  }
  return await begin(parts, { verb: 'fillup', kind: 'host', name, goal: 'ready', actor }, built);
}

/** One more cluster of the first template that fits. `undefined`: the host is full or closed. */
export async function buildFirst(
  parts: ControlParts,
  host: string,
  templates: readonly ClusterTemplate[],
  actor: string,
): Promise<StoredCluster | undefined> {
  for (const { blueprint, parameters } of templates) {
    try {
      return await buildCluster(parts, { host, blueprint, parameters, labels: {} }, actor);
    } catch (error) {
      const { reason } = Fault.from(error);
      if (reason !== 'host_full' && reason !== 'host_closed' && reason !== 'ports_used_up') throw error;
    }
  }
  return undefined;
}

/** Keeps as many free clusters as wanted on a host that fills itself; says whether it began one. */
export async function autofillHost(parts: ControlParts, name: string): Promise<boolean> {
  const host = await parts.store.host(name);
  if (!host?.spec.autofill || host.spec.cordoned || host.state !== 'active' || !hasRoom(host, 1)) return false;
  const { warmMin, templates } = host.spec;
  // Those on their way to being free count, or each look would begin another.
  const coming = host.clusters - host.used;
  if (warmMin > 0 && coming >= warmMin) return false;
  return (await buildFirst(parts, name, templates, 'autofill')) !== undefined;
}

/** Removes the free clusters. Autofill and scheduling are paused for that, and as before when it ends. */
export async function cleanHost(parts: ControlParts, name: string, actor: string): Promise<StoredOperation> {
  const host = await pause(parts, name, {});
  const free = (await clustersOf(parts, name)).filter(({ claim }) => claim === '');
  for (const { name: cluster } of free) await change(parts, cluster, 'delete', ({ claim }) => claim === '');
  const restores = { autofill: host.spec.autofill, cordoned: host.spec.cordoned };
  return await begin(parts, { verb: 'clean', kind: 'host', name, goal: 'gone', actor, restores }, free);
}

/** Builds all clusters of an unused host anew. Errors: `host_used`. */
export async function resetHost(parts: ControlParts, name: string, actor: string): Promise<StoredOperation> {
  const before = await find(parts, name);
  const refuse = (used: readonly StoredCluster[]): never => {
    throw failedPrecondition(`Cannot reset host "${name}": ${used.length} of its clusters are used`, {
      reason: 'host_used',
      hint: `Have them released first: ${used
        .slice(0, 5)
        .map((cluster) => cluster.name)
        .join(', ')}.`,
    });
  };
  const usedOf = async () => (await clustersOf(parts, name)).filter(({ claim }) => claim !== '');
  const used = await usedOf();
  if (used.length > 0) return refuse(used);
  const host = await pause(parts, name, { state: 'resetting' });
  const restores = { autofill: before.spec.autofill, cordoned: before.spec.cordoned };
  // Claimed between the question and the pause: a used cluster is never destroyed.
  const now = await usedOf();
  const all = now.length > 0 ? [] : await clustersOf(parts, name);
  for (const { name: cluster } of all) await change(parts, cluster, 'reset', ({ claim }) => claim === '');
  const operation = await begin(parts, { verb: 'reset', kind: 'host', name: host.name, goal: 'renewed', actor, restores }, all);
  return now.length > 0 ? refuse(now) : operation;
}

/** Waits until the used clusters are released; no cluster is given out or built meanwhile. The host stays cordoned afterwards. */
export async function drainHost(parts: ControlParts, name: string, deadlineMs: number, actor: string): Promise<StoredOperation> {
  await pause(parts, name, { state: 'draining' });
  const used = (await clustersOf(parts, name)).filter(({ claim }) => claim !== '');
  const deadline = deadlineMs > 0 ? { deadlineMs: parts.now() + deadlineMs } : {};
  return await begin(
    parts,
    { verb: 'drain', kind: 'host', name, goal: 'unused', actor, ...deadline, restores: { cordoned: true } },
    used,
  );
}

/** Errors: `host_used` without `force`, naming the claims; with it they end. */
export async function deleteHost(parts: ControlParts, name: string, force: boolean, actor: string): Promise<StoredOperation> {
  await find(parts, name);
  const all = await clustersOf(parts, name);
  const used = all.filter(({ claim }) => claim !== '');
  if (all.length > 0 && !force) {
    throw failedPrecondition(`Cannot delete host "${name}": ${all.length} clusters are there, ${used.length} of them used`, {
      reason: 'host_used',
      hint: '`clean` it of the free ones and have the others released, or use `force`, which ends their claims.',
    });
  }
  await pause(parts, name, { state: 'deleting', deletedMs: parts.now() });
  for (const { claim } of used) await endClaim(parts, claim, 'operator', actor);
  for (const { name: cluster } of all) await change(parts, cluster, 'delete', () => true);
  return await begin(parts, { verb: 'delete', kind: 'host', name, goal: 'gone', actor }, all);
}

const clustersOf = ({ store }: ControlParts, host: string): Promise<readonly StoredCluster[]> =>
  store.clusters({ host }, '', clustersMax);

async function find({ store }: ControlParts, name: string): Promise<StoredHost & HostUse> {
  const host = await store.host(name);
  if (host) return host;
  throw notFound(`There is no host "${name}"`, { reason: 'host_missing', hint: '`cellar hosts` shows those there are.' });
}

/** Switches autofill and scheduling off. Result: the host as it was. */
async function pause(parts: ControlParts, name: string, changes: Partial<StoredHost>): Promise<StoredHost> {
  for (;;) {
    const host = await find(parts, name);
    const paused = { ...host, ...changes, spec: { ...host.spec, autofill: false, cordoned: true } };
    if ((await parts.database.transaction((tx) => parts.store.updateHost(tx, paused, host.version))) !== 'conflict') return host;
  }
}

/** Changes what is wanted of a cluster as long as it may be. */
async function change(
  parts: ControlParts,
  name: string,
  verb: 'delete' | 'reset',
  may: (cluster: StoredCluster) => boolean,
): Promise<void> {
  for (let cluster = await parts.store.cluster(name); cluster && may(cluster); cluster = await parts.store.cluster(name)) {
    const now = cluster;
    const done = await parts.database.transaction((tx) =>
      parts.store.updateCluster(tx, name, now.version, changesFor(verb, now, parts.now())),
    );
    if (done === 'conflict') continue;
    parts.look(name);
    return;
  }
}

const begin = (
  parts: ControlParts,
  wanted: Parameters<typeof beginOperation>[2],
  targets: readonly StoredCluster[],
): Promise<StoredOperation> => parts.database.transaction((tx) => beginOperation(parts, tx, wanted, targets));

async function assertSpec(parts: ControlParts, spec: HostSpec): Promise<void> {
  if (spec.portFirst > spec.portLast)
    throw invalidArgument(`The range of ports from ${spec.portFirst} to ${spec.portLast} is empty`, { reason: 'ports_invalid' });
  for (const { blueprint } of spec.templates) await parts.blueprint(blueprint);
}

const hostEvent = (name: string, reason: string, says: string, actor: string): FleetEvent => ({
  ...{ kind: 'host', name, host: name, reason, actor, severity: 'info' },
  message: `Host ${name} ${says}`,
});
