import { Code, Fault, notFound, unavailable } from '#kernel/fault.ts';
import { rest } from '#lib/rest.ts';
import { memberDigest } from '../../blueprints/logic/plan-members.ts';
import type { Answer, ClusterRef, Driver, MemberQuestion, SeenMember } from '../../driver/driver.ts';
import { noVolumes } from '../logic/no-volumes.ts';
import type { SimulatedHost, SimulatedMember } from './world.ts';

export interface SimulatedDriverOptions {
  readonly host: SimulatedHost;
  readonly address: string;
  readonly now: () => number;
  /** From 0 to 1. */
  readonly random: () => number;
}

const everyMs = 1000;

/** An engine that is only imagined, with troubles as its host has them; for tests, simulations and demonstrations. */
export function createSimulatedDriver({ host, address, now, random }: SimulatedDriverOptions): Driver {
  const { members, volumes, troubles } = host;

  /** Runs a verb the way a call over a network goes: it may take long, not arrive, or be done without anybody hearing of it. */
  async function call<T>(signal: AbortSignal, verb: () => T): Promise<T> {
    if (troubles.latencyMs > 0) await rest(troubles.latencyMs, signal);
    signal.throwIfAborted();
    if (troubles.isAway) throw unavailable(`Simulated host "${address}" does not answer`, { reason: 'engine_unreachable' });
    if (random() < troubles.failsBefore) throw unavailable('The simulated call was lost', { reason: 'engine_unreachable' });
    const result = verb();
    if (random() < troubles.failsAfter) throw unavailable('The simulated answer was lost', { reason: 'engine_unreachable' });
    return result;
  }

  const own = ({ cluster, incarnation }: ClusterRef): SimulatedMember[] =>
    [...members.values()].filter((one) => one.cluster === cluster && one.incarnation === incarnation);

  const find = (ref: ClusterRef, name: string): SimulatedMember => {
    const found = members.get(nameOf(ref, name));
    if (!found) throw notFound(`There is no member "${name}" of cluster "${ref.cluster}"`, { reason: 'member_missing' });
    return found;
  };

  return {
    probe: (signal) =>
      call(signal, () => ({
        type: 'simulated',
        version: 'simulated',
        identity: `simulated:${address}`,
        cores: 8,
        memoryBytes: 2 ** 34,
        abilities: ['exec', 'stats', 'limits'],
      })),
    observe: (cluster, signal) =>
      call(signal, () => {
        const seen = [...members.values()].filter((one) => cluster === undefined || one.cluster === cluster);
        const used = new Set(seen.map((one) => `${one.cluster}/${one.incarnation}`));
        const left = [...volumes].filter(
          ([, one]) => (cluster === undefined || one.cluster === cluster) && !used.has(`${one.cluster}/${one.incarnation}`),
        );
        return {
          members: seen.map(seenOf),
          leftovers: left.map(([name, one]) => ({ ...one, name, kind: 'volume' as const })),
        };
      }),
    create: (ref, planned, _labels, signal) =>
      call(signal, () => {
        for (const member of planned) {
          const name = nameOf(ref, member.name);
          for (const volume of member.volumes) volumes.set(`${name}.${volume.name}`, { ...ref });
          if (members.has(name)) continue;
          const made = { ...ref, member: member.name, digest: memberDigest(member), startedMs: now() };
          members.set(name, { ...made, state: 'running', exitCode: 0, restarts: 0, isHung: false, height: 1 });
        }
      }),
    start: (ref, names, signal) =>
      call(signal, () => {
        for (const name of names) {
          const member = find(ref, name);
          if (member.state === 'running') continue;
          Object.assign(member, { state: 'running', startedMs: now(), restarts: member.restarts + 1, isHung: false });
        }
      }),
    stop: (ref, names, signal) =>
      call(signal, () => {
        for (const name of names) {
          const member = members.get(nameOf(ref, name));
          if (member?.state === 'running') Object.assign(member, { state: 'exited', exitCode: 0 });
        }
      }),
    remove: (ref, signal) =>
      call(signal, () => {
        let count = 0;
        for (const one of own(ref)) if (members.delete(nameOf(ref, one.member))) count += 1;
        for (const [name, one] of volumes)
          if (one.cluster === ref.cluster && one.incarnation === ref.incarnation && volumes.delete(name)) count += 1;
        return count;
      }),
    freePorts: (ports, signal) => call(signal, () => ports.filter((port) => !host.taken.has(port))),
    ask: (ref, questions, signal) =>
      call(signal, () => questions.map((question) => answer(members.get(nameOf(ref, question.member)), question))),
    async *logs(request, signal) {
      const lines = await call(signal, () =>
        own(request)
          .filter(({ member }) => request.member === '' || request.member === member)
          .map((one) => ({
            member: one.member,
            timeMs: one.startedMs,
            text: 'The simulated member has started',
            isError: false,
          })),
      );
      yield* lines.slice(0, request.tail);
      if (request.isFollowing) await rest(2 ** 31 - 1, signal);
    },
    async *use(ref, isFollowing, signal) {
      do {
        yield await call(signal, () =>
          own(ref)
            .filter(({ state }) => state === 'running')
            .map(({ member }) => ({ member, memoryBytes: 2 ** 25, cpuPercent: Math.round(random() * 10), processes: 1 })),
        );
        if (isFollowing) await rest(everyMs, signal);
      } while (isFollowing && !signal.aborted);
    },
    exec: (ref, name, command, signal) =>
      call(signal, () => {
        if (find(ref, name).state !== 'running')
          throw new Fault(Code.FailedPrecondition, `Member "${name}" does not run`, { reason: 'member_stopped' });
        return { exitCode: 0, output: Buffer.from(`${command.join(' ')}\n`), errors: new Uint8Array(0) };
      }),
    ...noVolumes('simulated'),
    // Nothing is told: whoever looks at simulated engines has to find out by looking.
    async *watch() {
      yield* [];
    },
    [Symbol.asyncDispose]: async () => undefined,
  };
}

const nameOf = ({ cluster, incarnation }: ClusterRef, member: string): string => `${cluster}.${incarnation}.${member}`;

function seenOf({ cluster, incarnation, member, state, exitCode, startedMs, restarts, digest }: SimulatedMember): SeenMember {
  const message = state === 'exited' ? `ended with code ${exitCode}` : '';
  return {
    ...{ cluster, incarnation, member, state, message, startedMs, restarts, digest },
    ...(state === 'exited' ? { exitCode } : {}),
  };
}

function answer(member: SimulatedMember | undefined, { question }: MemberQuestion): Answer {
  if (member?.state !== 'running') return { isOk: false, isUnknown: false, value: '', message: 'does not run' };
  if (member.isHung) return { isOk: false, isUnknown: false, value: '', message: 'does not answer' };
  const value = question.jsonRpc ? JSON.stringify(member.height) : 'ok';
  return { isOk: true, isUnknown: false, value, message: '' };
}
