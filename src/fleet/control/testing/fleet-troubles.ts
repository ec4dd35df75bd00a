import type { SimulatedMember } from '../../agents/simulated/world.ts';
import { names } from './fleet-people.ts';
import type { SimulatedFleet } from './simulated-fleet.ts';

const minute = 60_000;

/** What goes wrong, and right again. */

const anyHost = (fleet: SimulatedFleet): string => fleet.pick(fleet.hosts())?.name ?? 'h1';
const anyMember = (fleet: SimulatedFleet): SimulatedMember | undefined =>
  fleet.pick(fleet.world.hosts.flatMap(({ members }) => [...members.values()]));
const nameOf = ({ cluster, incarnation, member }: SimulatedMember): string => `${cluster}.${incarnation}.${member}`;

export function memberEnds(fleet: SimulatedFleet): void {
  const member = anyMember(fleet);
  if (!member) return;
  Object.assign(member, { state: 'exited', exitCode: fleet.pick([0, 1, 137]) ?? 1 });
  fleet.tell(`${nameOf(member)} ends`);
}

export function memberHangs(fleet: SimulatedFleet): void {
  const member = anyMember(fleet);
  if (!member) return;
  member.isHung = !member.isHung;
  fleet.tell(`${nameOf(member)} ${member.isHung ? 'hangs' : 'answers again'}`);
}

export function manyHang(fleet: SimulatedFleet): void {
  const host = anyHost(fleet);
  for (const member of fleet.world.host(host).members.values()) if (fleet.chance(0.8)) member.isHung = true;
  fleet.tell(`most members on ${host} hang`);
}

/** A whole cluster, or its members, or one of them, and its volumes or not. */
export function engineForgets(fleet: SimulatedFleet): void {
  const member = anyMember(fleet);
  const host = fleet.world.hosts.find(({ members }) => [...members.values()].some((one) => one === member));
  if (!member || !host) return;
  const prefix = fleet.chance(0.5) ? nameOf(member) : `${member.cluster}.${member.incarnation}.`;
  for (const name of [...host.members.keys()]) if (name.startsWith(prefix)) host.members.delete(name);
  if (fleet.chance(0.5)) for (const name of [...host.volumes.keys()]) if (name.startsWith(prefix)) host.volumes.delete(name);
  fleet.tell(`the engine has lost ${prefix}`);
}

/** What was removed long ago is there again, as after an engine was restored from a copy. */
export function engineRemembers(fleet: SimulatedFleet): void {
  const cluster = fleet.pick(fleet.clusters());
  const host = anyHost(fleet);
  const ref =
    cluster && fleet.chance(0.5)
      ? { cluster: cluster.name, incarnation: cluster.incarnation - 1 }
      : { cluster: 'ghost', incarnation: 1 };
  const member: SimulatedMember = {
    ...{ ...ref, member: 'node', digest: 'old', state: 'running', exitCode: 0 },
    ...{ startedMs: 0, restarts: 0, isHung: false, height: 1 },
  };
  fleet.world.host(host).members.set(nameOf(member), member);
  fleet.tell(`${host} has ${nameOf(member)} again`);
}

export function hostAway(fleet: SimulatedFleet): void {
  const host = anyHost(fleet);
  fleet.world.host(host).troubles.isAway = true;
  fleet.tell(`${host} is away`);
}

export function hostBack(fleet: SimulatedFleet): void {
  const host = fleet.pick(names) ?? '';
  fleet.world.host(host).troubles.isAway = false;
  fleet.tell(`${host} is there`);
}

export function halfVanish(fleet: SimulatedFleet): void {
  const away = names.slice(0, 2).map((_, at) => names[(at + fleet.whole(0, 3)) % 4] ?? '');
  for (const host of away) fleet.world.host(host).troubles.isAway = true;
  fleet.tell(`${away.join(' and ')} vanish at once`);
}

export function callsFail(fleet: SimulatedFleet): void {
  const host = anyHost(fleet);
  Object.assign(fleet.world.host(host).troubles, fleet.chance(0.5) ? { failsAfter: 0.3 } : { failsBefore: 0.3 });
  fleet.tell(`calls of ${host} are lost, or their answers`);
}

export function callsWork(fleet: SimulatedFleet): void {
  for (const { troubles } of fleet.world.hosts) Object.assign(troubles, { failsBefore: 0, failsAfter: 0 });
}

export function jump(fleet: SimulatedFleet): void {
  const byMs = fleet.whole(-90, 90) * minute;
  fleet.clock.nowMs += byMs;
  fleet.tell(`the clock jumps by ${byMs / minute} minutes`);
}

/** Until the next claim is over. */
export function outlast(fleet: SimulatedFleet): void {
  const next = fleet.claims('bound').toSorted((a, b) => a.expireMs - b.expireMs)[0];
  if (!next || next.expireMs <= fleet.clock.nowMs) return;
  const byMs = next.expireMs - fleet.clock.nowMs;
  fleet.clock.nowMs += byMs;
  fleet.clock.monotonicMs += byMs;
  fleet.tell(`the time of claim ${next.id} is over`);
}

export function crash(fleet: SimulatedFleet): void {
  fleet.crash(fleet.whole(0, 1));
}

export function takeOver(fleet: SimulatedFleet): void {
  fleet.takeOver(fleet.whole(0, 1), fleet.chance(0.4));
}

export function halt(fleet: SimulatedFleet): void {
  const platform = fleet.pick(fleet.platforms);
  if (!platform || fleet.platforms.some(({ isHalted }) => isHalted)) return;
  platform.isHalted = true;
  fleet.tell(`${platform.name} is halted`);
}

export function goOn(fleet: SimulatedFleet): void {
  for (const platform of fleet.platforms) {
    if (platform.isHalted) fleet.tell(`${platform.name} goes on`);
    platform.isHalted = false;
  }
}

export function agentForgets(fleet: SimulatedFleet): void {
  fleet.agent.newest = 0;
  fleet.tell('the agent has begun anew');
}
