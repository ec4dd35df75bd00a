import { buildCluster } from '../logic/build-cluster.ts';
import { endClaim, renewClaim } from '../logic/claims.ts';
import { type ClusterVerb, orderCluster } from '../logic/cluster-verbs.ts';
import { cleanHost, createHost, deleteHost, drainHost, fillupHost, resetHost, updateHost } from '../logic/host-verbs.ts';
import { cancelOperation } from '../logic/operations.ts';
import type { HostSpec, StoredOperation } from '../store/store.ts';
import type { SimulatedFleet } from './simulated-fleet.ts';

const minute = 60_000;
export const names = ['h1', 'h2', 'h3', 'h4'];
const users = ['ann', 'bob', 'cid', 'dan', 'eve'];

/** What users and operators do. */

const anyUser = (fleet: SimulatedFleet): string => fleet.pick(users) ?? '';
const anyHost = (fleet: SimulatedFleet): string => fleet.pick(fleet.hosts())?.name ?? 'h1';

function wishOf(fleet: SimulatedFleet) {
  const user = anyUser(fleet);
  const blueprint = fleet.pick(['pair', 'solo', 'solo', '']) ?? '';
  const parameters: Record<string, string> = blueprint === 'solo' && fleet.chance(0.2) ? { size: '2' } : {};
  const selectors = fleet.chance(0.2) ? [{ host: fleet.pick(names) ?? '', labels: {} }] : [];
  return {
    user,
    userName: user,
    blueprint,
    parameters,
    selectors,
    allowMultiple: fleet.chance(0.5),
    ttlMs: fleet.pick([0, minute, 20 * minute]) ?? 0,
    labels: {},
  };
}

/** Sometimes again, as who has not heard the answer does. */
export function apply(fleet: SimulatedFleet): void {
  const wish = { ...wishOf(fleet), waitMs: 0 };
  for (let times = fleet.chance(0.2) ? 2 : 1; times > 0; times--)
    fleet.ask(`${wish.user} applies for "${wish.blueprint}"`, ({ engine }) => engine.apply(wish, new AbortController().signal));
}

export function applyAndWait(fleet: SimulatedFleet): void {
  const wish = { ...wishOf(fleet), waitMs: fleet.whole(1, 60) * 1000 };
  const leaves = new AbortController();
  fleet.ask(`${wish.user} waits ${wish.waitMs} ms for "${wish.blueprint}"`, ({ engine }) => engine.apply(wish, leaves.signal));
  if (fleet.chance(0.2)) fleet.leaving.push(leaves);
  else if (fleet.chance(0.5)) fleet.leaving.pop()?.abort();
}

export function release(fleet: SimulatedFleet): void {
  const waiting = fleet.chance(0.3) ? fleet.pick(fleet.claims('waiting')) : undefined;
  const claim = waiting ?? fleet.pick(fleet.claims('bound'));
  if (!claim) return;
  const { id, user, cluster } = claim;
  for (let times = fleet.chance(0.2) ? 2 : 1; times > 0; times--)
    fleet.ask(`${user} releases ${id} (${cluster})`, ({ parts }) => endClaim(parts, id, 'released', user));
}

export function renew(fleet: SimulatedFleet): void {
  const claim = fleet.pick(fleet.claims('bound'));
  if (claim) fleet.ask(`${claim.user} renews ${claim.id}`, ({ parts }) => renewClaim(parts, claim.id, 0));
}

export function ownVerb(fleet: SimulatedFleet): void {
  const cluster = fleet.pick(fleet.clusters().filter(({ claim }) => claim !== ''));
  const verb = fleet.pick(['stop', 'start', 'restart', 'reset'] as const);
  if (!cluster || !verb) return;
  const { name, owner } = cluster;
  if (verb === 'reset') fleet.truth.order('own-reset', name);
  order(fleet, name, verb, false, true, owner);
}

export function operatorVerb(fleet: SimulatedFleet): void {
  const cluster = fleet.pick(fleet.clusters());
  const verb = fleet.pick(['stop', 'start', 'restart', 'reset', 'delete'] as const);
  if (!cluster || !verb) return;
  if (verb === 'reset' || verb === 'delete') fleet.truth.order(verb, cluster.name);
  order(fleet, cluster.name, verb, fleet.chance(0.4), false, 'op');
}

function order(fleet: SimulatedFleet, name: string, verb: ClusterVerb, force: boolean, isOwner: boolean, actor: string): void {
  fleet.ask(`${actor} orders ${verb} of ${name}${force ? ' by force' : ''}`, ({ parts }) =>
    orderCluster(parts, { name, verb, force, version: 0, isOwner, actor }),
  );
}

export function makeCluster(fleet: SimulatedFleet): void {
  const host = fleet.chance(0.5) ? { host: anyHost(fleet) } : {};
  const wish = { ...host, blueprint: fleet.pick(['pair', 'solo']) ?? 'solo', parameters: {}, labels: {} };
  fleet.ask(`op makes a cluster of ${wish.blueprint}`, ({ parts }) => buildCluster(parts, wish, 'op'));
}

export function fillup(fleet: SimulatedFleet): void {
  const host = anyHost(fleet);
  fleet.ask(`op fills ${host}`, ({ parts }) => fillupHost(parts, host, undefined, 'op'));
}

export function addHost(fleet: SimulatedFleet): void {
  const name = fleet.pick(names.filter((one) => fleet.hosts().every((host) => host.name !== one)));
  if (!name) return;
  const spec: HostSpec = {
    ...{
      type: 'simulated',
      credentials: '',
      address: name,
      capacity: fleet.whole(3, 6),
      capacityWeight: fleet.pick([0, 0, 7]) ?? 0,
    },
    ...{
      autofill: fleet.chance(0.5),
      warmMin: fleet.whole(1, 2),
      templates: [{ blueprint: fleet.pick(['pair', 'solo']) ?? 'solo', parameters: {} }],
    },
    ...{ cordoned: false, labels: {}, portFirst: 20_000, portLast: fleet.pick([20_005, 29_999]) ?? 29_999 },
  };
  fleet.ask(`op adds ${name} for ${spec.capacity}${spec.autofill ? `, ${spec.warmMin} warm` : ''}`, ({ parts }) =>
    createHost(parts, name, spec, 'op'),
  );
}

function change(fleet: SimulatedFleet, host: string, changes: Partial<HostSpec>): void {
  if (changes.cordoned) fleet.truth.closed.add(host);
  fleet.ask(`op changes ${host} ${JSON.stringify(changes)}`, async ({ parts }) => {
    await updateHost(parts, host, changes, 0, 'op');
    if (changes.cordoned === false) fleet.truth.closed.delete(host);
    if (changes.cordoned) fleet.truth.closed.add(host);
  });
}

export function closeHost(fleet: SimulatedFleet): void {
  change(fleet, anyHost(fleet), { cordoned: true });
}

export function openHost(fleet: SimulatedFleet): void {
  const host = fleet.pick(fleet.hosts().filter(({ spec }) => spec.cordoned));
  if (host) change(fleet, host.name, { cordoned: false });
}

export function changeHost(fleet: SimulatedFleet): void {
  change(
    fleet,
    anyHost(fleet),
    fleet.chance(0.5) ? { capacity: fleet.whole(2, 6) } : { autofill: fleet.chance(0.7), warmMin: fleet.whole(0, 3) },
  );
}

export function clean(fleet: SimulatedFleet): void {
  const host = anyHost(fleet);
  fleet.truth.order('delete', host);
  fleet.ask(`op cleans ${host}`, ({ parts }) => cleanHost(parts, host, 'op'));
}

export function reset(fleet: SimulatedFleet): void {
  const host = anyHost(fleet);
  fleet.truth.order('reset', host);
  fleet.ask(`op resets ${host}`, ({ parts }) => resetHost(parts, host, 'op'));
}

export function drain(fleet: SimulatedFleet): void {
  const host = anyHost(fleet);
  const deadlineMs = fleet.pick([0, minute]) ?? 0;
  fleet.truth.closed.add(host);
  fleet.ask(`op drains ${host}`, ({ parts }) => drainHost(parts, host, deadlineMs, 'op'));
}

export function removeHost(fleet: SimulatedFleet): void {
  const host = anyHost(fleet);
  fleet.truth.order('delete', host);
  fleet.ask(`op deletes ${host}`, ({ parts }) => deleteHost(parts, host, fleet.chance(0.5), 'op'));
}

export function cancel(fleet: SimulatedFleet): void {
  const operation = fleet.pick(fleet.rows<StoredOperation>("select record from operations where state = 'running' order by id"));
  if (!operation) return;
  for (const { cluster } of operation.targets) fleet.truth.order('delete', cluster);
  fleet.ask(`op cancels ${operation.verb} of ${operation.name}`, ({ parts }) => cancelOperation(parts, operation.id, 'op'));
}
