import { failedPrecondition, notFound, unavailable } from '#kernel/fault.ts';
import { rest } from '#lib/rest.ts';
import { memberDigest, type PlannedMember } from '../../blueprints/logic/plan-members.ts';
import type { Answer, ClusterRef, Driver, Executed, LogLine, MemberQuestion, SeenMember } from '../../driver/driver.ts';
import { no, unknown, yes } from '../logic/ask-network.ts';
import { noVolumes } from '../logic/no-volumes.ts';
import { type Imagined, imagineScript } from './imagine-script.ts';
import type { SimulatedHost, SimulatedMaking, SimulatedMember } from './world.ts';

export interface SimulatedDriverOptions {
  readonly host: SimulatedHost;
  readonly address: string;
  /** Part of every mark; empty when absent. */
  readonly fleet?: string;
  readonly now: () => number;
  /** From 0 to 1. */
  readonly random: () => number;
}

const everyMs = 1000;

/**
 * An engine that is only imagined, with troubles as its host has them; for tests, simulations and demonstrations.
 *
 * A member whose command is a little script does what `imagineScript` makes of it; any other goes on until it is stopped, and answers whatever
 * it is asked. It has no file system: commands in it are those that the script knows.
 */
export function createSimulatedDriver({ host, address, fleet = '', now, random }: SimulatedDriverOptions): Driver {
  const { members, volumes, troubles } = host;
  const keyOf = ({ cluster, incarnation }: ClusterRef, member: string): string =>
    `${fleet === '' ? '' : `${fleet}/`}${cluster}.${incarnation}.${member}`;
  const isOurs = (one: { readonly fleet?: string }): boolean => (one.fleet ?? '') === fleet;

  /** Runs a verb the way a call over a network goes: it may take long, not arrive, or be done without anybody hearing of it. */
  async function call<T>(signal: AbortSignal, verb: () => T): Promise<T> {
    if (troubles.latencyMs > 0) await rest(troubles.latencyMs, signal);
    signal.throwIfAborted();
    if (troubles.isAway) throw unavailable(`Simulated host "${address}" does not answer`, { reason: 'engine_unreachable' });
    if (random() < troubles.failsBefore) throw unavailable('The simulated call was lost', { reason: 'engine_unreachable' });
    settle();
    const result = verb();
    if (random() < troubles.failsAfter) throw unavailable('The simulated answer was lost', { reason: 'engine_unreachable' });
    return result;
  }

  /** Members whose script has come to its end meanwhile. */
  function settle(): void {
    for (const member of host.ending) {
      const { end } = member.run ?? {};
      if (member.state === 'running' && end) {
        if (now() < member.startedMs + end.afterMs) continue;
        Object.assign(member, { state: 'exited', exitCode: end.exitCode });
        host.tell(member.cluster);
      }
      host.ending.delete(member);
    }
  }

  const own = ({ cluster, incarnation }: ClusterRef): SimulatedMember[] =>
    [...members.values()].filter((one) => isOurs(one) && one.cluster === cluster && one.incarnation === incarnation);

  const find = (ref: ClusterRef, name: string): SimulatedMember => {
    const found = members.get(keyOf(ref, name));
    if (!found) throw notFound(`There is no member "${name}" of cluster "${ref.cluster}"`, { reason: 'member_missing' });
    return found;
  };

  function run(member: SimulatedMember): void {
    Object.assign(member, { state: 'running', startedMs: now(), isHung: false }, runOf(member.made));
    if (member.run?.end) host.ending.add(member);
    host.tell(member.cluster);
  }

  return {
    probe: (signal) =>
      call(signal, () => ({
        type: 'simulated',
        version: 'simulated',
        identity: `simulated:${address}`,
        cores: 8,
        memoryBytes: 2 ** 34,
        abilities: ['exec', 'stats'],
      })),
    observe: (cluster, signal) =>
      call(signal, () => {
        const isAsked = (one: SimulatedMember | { readonly cluster: string; readonly fleet?: string }): boolean =>
          isOurs(one) && (cluster === undefined || one.cluster === cluster);
        const seen = [...members.values()].filter(isAsked);
        const used = new Set(seen.map((one) => `${one.cluster}/${one.incarnation}`));
        const left = [...volumes].filter(([, one]) => isAsked(one) && !used.has(`${one.cluster}/${one.incarnation}`));
        return {
          members: seen.map(seenOf),
          leftovers: left.map(([name, one]) => ({
            ...{ cluster: one.cluster, incarnation: one.incarnation, name },
            kind: 'volume' as const,
          })),
        };
      }),
    create: (ref, planned, _labels, signal) =>
      call(signal, () => {
        for (const member of planned) {
          const name = keyOf(ref, member.name);
          const known = members.get(name);
          if (!known && member.programs.length > 0 && member.programs.every((program) => host.missing.has(program)))
            throw failedPrecondition(`None of these programs is installed: ${member.programs.join(', ')}`, {
              reason: 'program_missing',
            });
          const mark = { ...ref, ...(fleet === '' ? {} : { fleet }) };
          for (const volume of member.volumes) volumes.set(`${name}.${volume.name}`, mark);
          if (known?.state === 'running') continue;
          // As of real ones: what has ended is started again.
          const own: SimulatedMember = known ?? {
            ...{ ...mark, member: member.name, digest: memberDigest(member), made: makingOf(member) },
            ...{ state: 'exited', exitCode: 0, startedMs: 0, restarts: -1, isHung: false, height: 1 },
          };
          own.restarts += 1;
          members.set(name, own);
          run(own);
        }
      }),
    start: (ref, names, signal) =>
      call(signal, () => {
        for (const name of names) {
          const member = find(ref, name);
          if (member.state === 'running') continue;
          member.restarts += 1;
          run(member);
        }
      }),
    stop: (ref, names, signal) =>
      call(signal, () => {
        for (const name of names) {
          const member = members.get(keyOf(ref, name));
          if (member?.state !== 'running') continue;
          Object.assign(member, { state: 'exited', exitCode: member.run?.isStubborn ? 137 : 0 });
          host.tell(ref.cluster);
        }
      }),
    remove: (ref, signal) =>
      call(signal, () => {
        let count = 0;
        for (const one of own(ref)) if (members.delete(keyOf(ref, one.member))) count += 1;
        for (const [name, one] of volumes)
          if (isOurs(one) && one.cluster === ref.cluster && one.incarnation === ref.incarnation && volumes.delete(name))
            count += 1;
        if (count > 0) host.tell(ref.cluster);
        return count;
      }),
    freePorts: (ports, signal) =>
      call(signal, () => {
        const running = [...members.values()].filter(({ state }) => state === 'running');
        const used = new Set(running.flatMap(({ made }) => made?.ports ?? []));
        return ports.filter((port) => !host.taken.has(port) && !used.has(port));
      }),
    ask: (ref, questions, signal) =>
      call(signal, () => questions.map((question) => answer(members.get(keyOf(ref, question.member)), question))),
    async *logs({ tail, isFollowing, ...request }, signal) {
      const ofMember = (one: SimulatedMember): LogLine[] => {
        const lines = one.run?.lines ?? [{ afterMs: 0, text: 'The simulated member has started', isError: false }];
        return lines.map(({ afterMs, text, isError }) => ({
          member: one.member,
          timeMs: one.startedMs + afterMs,
          text,
          isError,
        }));
      };
      const written = await call(signal, () =>
        own(request)
          .filter(({ member }) => request.member === '' || request.member === member)
          .map(ofMember),
      );
      const before = written.flatMap((lines) => lines.filter(({ timeMs }) => timeMs <= now()).slice(-tail || lines.length));
      yield* tail === 0 ? [] : before.toSorted((a, b) => a.timeMs - b.timeMs);
      if (!isFollowing) return;
      const coming = written.flatMap((lines) => lines.filter((line) => line.timeMs > now()));
      for (const line of coming.toSorted((a, b) => a.timeMs - b.timeMs)) {
        await rest(Math.max(0, line.timeMs - now()), signal);
        if (signal.aborted) return;
        yield line;
      }
      await rest(2 ** 31 - 1, signal);
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
        const member = find(ref, name);
        if (member.state !== 'running') throw failedPrecondition(`Member "${name}" does not run`, { reason: 'member_stopped' });
        return execute(member, command);
      }),
    ...noVolumes('simulated'),
    watch: (signal) => host.watch(everyMs, settle, signal),
    [Symbol.asyncDispose]: async () => undefined,
  };
}

const modeOf = (isExecutable = false, isSecret = false): string =>
  isSecret ? (isExecutable ? '-rwx------' : '-rw-------') : isExecutable ? '-rwxr-xr-x' : '-rw-r--r--';

const makingOf = ({ command, environment, files, ports }: PlannedMember): SimulatedMaking => ({
  ...{ command, environment },
  files: new Map(files.map(({ path, text, executable, secret }) => [path, { text, mode: modeOf(executable, secret) }])),
  ports: ports.flatMap(({ hostPort }) => (hostPort > 0 ? [hostPort] : [])),
});

function runOf(making: SimulatedMaking | undefined): { run?: Imagined } {
  const [program, flag, script] = making?.command ?? [];
  if (program !== 'sh' || flag !== '-c' || script === undefined || !making) return {};
  return { run: imagineScript(script, making.files, making.environment) };
}

const notFoundCode = 127;

function execute({ made }: SimulatedMember, command: readonly string[]): Executed {
  const quoted = command.map((word) => `'${word}'`).join(' ');
  const script = command[0] === 'sh' && command[1] === '-c' ? (command[2] ?? '') : quoted;
  const { lines, end, notUnderstood } = imagineScript(script, made?.files ?? new Map(), made?.environment ?? {});
  const textOf = (wanted: boolean): Buffer =>
    Buffer.from(lines.flatMap(({ text, isError }) => (isError === wanted ? [`${text}\n`] : [])).join(''));
  if (notUnderstood === undefined) return { exitCode: end?.exitCode ?? 137, output: textOf(false), errors: textOf(true) };
  const errors = Buffer.concat([textOf(true), Buffer.from(`${notUnderstood}: the simulation does not know this command\n`)]);
  return { exitCode: notFoundCode, output: textOf(false), errors };
}

function seenOf({ cluster, incarnation, member, state, exitCode, startedMs, restarts, digest }: SimulatedMember): SeenMember {
  const message = state === 'exited' ? `ended with code ${exitCode}` : '';
  return {
    ...{ cluster, incarnation, member, state, message, startedMs, restarts, digest },
    ...(state === 'exited' ? { exitCode } : {}),
  };
}

function answer(member: SimulatedMember | undefined, { question, ports }: MemberQuestion): Answer {
  const { http, tcp, jsonRpc, command } = question;
  const port = (http ?? tcp ?? jsonRpc)?.port;
  if (port !== undefined && (ports[port]?.host ?? 0) === 0) return unknown(`port "${port}" cannot be reached from here`);
  if (!member && command) return unknown('there is no such member');
  if (member?.state !== 'running') return no('does not run');
  if (member.isHung) return no('does not answer');
  if (http && (http.status ?? 200) !== 200) return no('answered 200');
  if (jsonRpc) return yes(JSON.stringify(member.height));
  if (!command) return yes('ok');
  const { exitCode, output } = execute(member, command);
  // What asks a real chain how it is means nothing to an imagined one, which is well.
  if (exitCode === notFoundCode) return yes('ok');
  return exitCode === 0 ? yes(Buffer.from(output).toString()) : no(`ended with code ${exitCode}`);
}
