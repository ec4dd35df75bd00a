import type { Transaction } from '#kernel/database/database.ts';
import { aborted, Fault, failedPrecondition, invalidArgument, notFound } from '#kernel/fault.ts';
import type { ClusterTemplate, Goal, HostSpec, HostUse, StoredCluster, StoredHost, StoredOperation } from '../store/store.ts';
import { buildCluster, hasRoom } from './build-cluster.ts';
import { endClaimIn } from './claims.ts';
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
    const closing = await closingOf(parts, name);
    const done = await parts.database.transaction(async (tx) => {
      const updated = await parts.store.updateHost(tx, changed, host.version);
      if (updated === 'conflict') return updated;
      // What is wanted of a host that is closed for a time is what it gets back.
      if (closing) await parts.store.restoreInstead(tx, closing.id, opennessIn(changes));
      await parts.append(tx, [hostEvent(name, 'HostChanged', `was changed: ${Object.keys(changes).join(', ')}`, actor)]);
      return updated;
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
  const operation = { verb: 'fillup', kind: 'host', name, goal: 'ready', actor } as const;
  return await parts.database.transaction((tx) => beginOperation(parts, tx, operation, built));
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
  if (warmMin > 0 && (await parts.store.comingOn(name)) >= warmMin) return false;
  return (await buildFirst(parts, name, templates, 'autofill')) !== undefined;
}

/** Removes the free clusters. Autofill and scheduling are paused for that, and as before when it ends. */
export const cleanHost = (parts: ControlParts, name: string, actor: string): Promise<StoredOperation> =>
  orderHost(parts, name, actor, {
    ...{ verb: 'clean', goal: 'gone', changes: {}, order: 'delete', restores: openness },
    choose: (clusters) => clusters.filter(({ claim }) => claim === ''),
  });

/** Builds all clusters of an unused host anew. Errors: `host_used`. */
export const resetHost = (parts: ControlParts, name: string, actor: string): Promise<StoredOperation> =>
  orderHost(parts, name, actor, {
    ...{ verb: 'reset', goal: 'renewed', changes: { state: 'resetting' }, order: 'reset', restores: openness },
    choose(clusters) {
      const used = clusters.filter(({ claim }) => claim !== '');
      if (used.length === 0) return clusters;
      const some = used.slice(0, 5).map((cluster) => cluster.name);
      throw failedPrecondition(`Cannot reset host "${name}": ${used.length} of its clusters are used`, {
        reason: 'host_used',
        hint: `Have them released first: ${some.join(', ')}.`,
      });
    },
  });

/** Waits until the used clusters are released; no cluster is given out or built meanwhile. The host stays cordoned afterwards. */
export const drainHost = (parts: ControlParts, name: string, deadlineMs: number, actor: string): Promise<StoredOperation> =>
  orderHost(parts, name, actor, {
    ...{ verb: 'drain', goal: 'unused', changes: { state: 'draining' } },
    ...(deadlineMs > 0 ? { deadlineMs: parts.now() + deadlineMs } : {}),
    restores: ({ spec }) => ({ autofill: spec.autofill, cordoned: true }),
    choose: (clusters) => clusters.filter(({ claim }) => claim !== ''),
  });

/** Errors: `host_used` without `force`, naming the claims; with it they end. */
export const deleteHost = (parts: ControlParts, name: string, force: boolean, actor: string): Promise<StoredOperation> =>
  orderHost(parts, name, actor, {
    ...{ verb: 'delete', goal: 'gone', changes: { state: 'deleting', deletedMs: parts.now() }, order: 'delete' },
    choose(clusters) {
      if (clusters.length === 0 || force) return clusters;
      const used = clusters.filter(({ claim }) => claim !== '').length;
      throw failedPrecondition(`Cannot delete host "${name}": ${clusters.length} clusters are there, ${used} of them used`, {
        reason: 'host_used',
        hint: '`clean` it of the free ones and have the others released, or use `force`, which ends their claims.',
      });
    },
  });

async function find({ store }: ControlParts, name: string): Promise<StoredHost & HostUse> {
  const host = await store.host(name);
  if (host) return host;
  throw notFound(`There is no host "${name}"`, { reason: 'host_missing', hint: '`cellar hosts` shows those there are.' });
}

const openness = ({ spec: { autofill, cordoned } }: StoredHost) => ({ autofill, cordoned });

interface HostOrder {
  readonly verb: string;
  readonly goal: Goal;
  readonly changes: Partial<StoredHost>;
  /** Of the clusters there are, those it is about. Errors: why it may not be. */
  readonly choose: (clusters: readonly StoredCluster[]) => readonly StoredCluster[];
  /** What is asked of these; their claims end. Absent: nothing. */
  readonly order?: 'delete' | 'reset';
  /** What the host gets back in the end, from how it was. */
  readonly restores?: (host: StoredHost) => StoredOperation['restores'];
  readonly deadlineMs?: number;
}

/**
 * Switches autofill and scheduling of a host off, orders its clusters, and notes the operation that switches them on again: all of it or
 * nothing, since a host that was only closed would stay so when the platform is killed.
 */
async function orderHost(parts: ControlParts, name: string, actor: string, wanted: HostOrder): Promise<StoredOperation> {
  const { store, database, look } = parts;
  const { verb, goal, changes, choose, order, restores, deadlineMs = 0 } = wanted;
  for (;;) {
    const host = await find(parts, name);
    if (verb !== 'delete') await assertOrderable(parts, host, verb);
    const paused = { ...host, ...changes, spec: { ...host.spec, autofill: false, cordoned: true } };
    const begun = await database
      .transaction(async (tx) => {
        // First: from now on no cluster is added, and none is given out.
        if ((await store.updateHost(tx, paused, host.version)) === 'conflict') throw retry;
        const targets = choose(await store.clustersOn(tx, name));
        for (const cluster of order ? targets : []) await orderIn(tx, cluster, order ?? 'delete');
        const given = restores?.(host);
        const operation = { verb, kind: 'host', name, goal, actor, deadlineMs, ...(given ? { restores: given } : {}) } as const;
        return { targets, operation: await beginOperation(parts, tx, operation, targets) };
      })
      .catch((error: unknown) => {
        if (error === retry) return undefined;
        throw error;
      });
    if (!begun) continue;
    for (const cluster of begun.targets) look(cluster.name);
    return begun.operation;
  }

  async function orderIn(tx: Transaction, cluster: StoredCluster, what: 'delete' | 'reset'): Promise<void> {
    if (cluster.claim !== '') await endClaimIn(parts, tx, cluster.claim, 'operator', actor);
    const ordered = { ...changesFor(what, cluster, parts.now()), claim: '', owner: '' };
    if ((await store.updateCluster(tx, cluster.name, cluster.version, ordered)) === 'conflict') throw retry;
  }
}

/** Two that close a host at once would not know how it was before. Errors: `host_going`, `host_busy`. */
async function assertOrderable(parts: ControlParts, { name, deletedMs }: StoredHost, verb: string): Promise<void> {
  if (deletedMs > 0) throw failedPrecondition(`Cannot ${verb} host "${name}": it is being deleted`, { reason: 'host_going' });
  const other = await closingOf(parts, name);
  if (!other) return;
  throw failedPrecondition(`Cannot ${verb} host "${name}": its ${other.verb} is going on`, {
    reason: 'host_busy',
    hint: `Wait for operation ${other.id}, or cancel it.`,
  });
}

/** The operation that keeps a host closed until it ends. */
async function closingOf({ store }: ControlParts, name: string): Promise<StoredOperation | undefined> {
  const running = await store.operations({ kind: 'host', name, state: 'running' }, undefined, clustersMax);
  return running.find(({ restores }) => restores !== undefined);
}

const opennessIn = ({ autofill, cordoned }: Partial<HostSpec>): NonNullable<StoredOperation['restores']> => ({
  ...(autofill === undefined ? {} : { autofill }),
  ...(cordoned === undefined ? {} : { cordoned }),
});

const retry = new Error('The host or one of its clusters was changed meanwhile');

async function assertSpec(parts: ControlParts, spec: HostSpec): Promise<void> {
  if (spec.portFirst > spec.portLast)
    throw invalidArgument(`The range of ports from ${spec.portFirst} to ${spec.portLast} is empty`, { reason: 'ports_invalid' });
  for (const { blueprint } of spec.templates) await parts.blueprint(blueprint);
}

const hostEvent = (name: string, reason: string, says: string, actor: string): FleetEvent => ({
  ...{ kind: 'host', name, host: name, reason, actor, severity: 'info' },
  message: `Host ${name} ${says}`,
});
