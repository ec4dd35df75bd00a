import { createHash } from 'node:crypto';
import { invalidArgument } from '#kernel/fault.ts';
import type { AgentType, Labels, MemberGoal, PortWish, ReservedPort } from '../../common/words.ts';
import type { Blueprint, FileTemplate, HealthRule, MemberTemplate, Question } from './blueprint.ts';
import { authoritiesIn, type CertificateWish, secretNames } from './make-certificates.ts';
import { parameterProblem } from './parse-blueprint.ts';
import { renderTemplate } from './templates.ts';

/** One member as it is to be made; everything in it is decided. */
export interface PlannedMember extends MemberGoal {
  readonly image: string;
  readonly command: readonly string[];
  /** Of local processes: the first that is installed takes the place of the command's first word. */
  readonly programs: readonly string[];
  readonly environment: Labels;
  readonly ports: readonly PlannedPort[];
  readonly volumes: readonly { readonly name: string; readonly path: string }[];
  readonly files: readonly PlannedFile[];
  /** Unit: bytes; 0: no limit. */
  readonly memoryBytesMax: number;
  readonly cpuMillisMax: number;
  readonly processesMax: number;
  readonly stopSignal: string;
  readonly stopTimeoutMs: number;
  readonly ready: readonly Question[];
}

export interface PlannedPort {
  readonly name: string;
  readonly port: number;
  /** 0: not reachable from outside. */
  readonly hostPort: number;
  readonly isUdp: boolean;
}

export interface PlannedFile extends Omit<FileTemplate, 'text'> {
  readonly path: string;
  readonly text: string;
}

/** What one cluster's plan depends on. */
export interface PlanContext {
  readonly cluster: string;
  readonly incarnation: number;
  readonly agent: AgentType;
  /** With defaults filled in, see `fillParameters`. */
  readonly parameters: Labels;
  readonly secrets: Labels;
  /** Of the host, by member and name, see `portWishes`. */
  readonly ports: readonly ReservedPort[];
  /** Where clients reach the host's ports. */
  readonly publicHost: string;
  /** By member, where theirs are reached when that is somewhere else. */
  readonly publicHosts?: Labels;
}

/** What is needed to ask a cluster how it is, which happens far more often than it is made. */
export interface ChecksPlan {
  readonly members: readonly CheckedMember[];
  readonly health: readonly HealthRule[];
}

export type CheckedMember = Pick<PlannedMember, 'name' | 'role' | 'after' | 'ports' | 'ready'>;

export interface MembersPlan extends ChecksPlan {
  readonly members: readonly PlannedMember[];
  readonly endpoints: Labels;
  readonly connection: Labels;
}

const stopTimeoutMsDefault = 10_000;
const mebibyte = 1024 * 1024;

/** Errors: `invalid_argument` with reason `parameter_invalid`, naming the parameter and what is allowed. */
export function fillParameters(blueprint: Blueprint, given: Labels): Labels {
  const known = blueprint.parameters ?? {};
  for (const name of Object.keys(given)) {
    if (Object.hasOwn(known, name)) continue;
    throw invalidArgument(`Blueprint "${blueprint.name}" has no parameter "${name}"`, {
      reason: 'parameter_invalid',
      hint: Object.keys(known).length > 0 ? `It has: ${Object.keys(known).join(', ')}.` : 'It has none.',
    });
  }
  const filled: Record<string, string> = {};
  for (const [name, parameter] of Object.entries(known)) {
    const value = given[name] ?? String(parameter.default);
    const problem = parameterProblem(name, parameter, value);
    if (problem) throw invalidArgument(problem, { reason: 'parameter_invalid', hint: parameter.description });
    filled[name] = value;
  }
  return filled;
}

/** Which members there are, in the order they are written. Errors: `invalid_argument` for a count that is none. */
export function memberGoals(blueprint: Blueprint, parameters: Labels): readonly MemberGoal[] {
  return expand(blueprint, parameters).map(({ name, template, after }) => ({ name, role: template.role, after }));
}

/** The ports a cluster needs on its host: all of local processes; of others those that clients reach, or a question is asked at. */
export function portWishes(blueprint: Blueprint, parameters: Labels, agent: AgentType): readonly PortWish[] {
  return expand(blueprint, parameters).flatMap(({ name: member, template }) =>
    Object.entries(template.ports ?? {})
      .filter(([name, port]) => agent === 'process' || agent === 'simulated' || port.public || isAsked(blueprint, template, name))
      .map(([name]) => ({ member, name })),
  );
}

/** Agents need not be on the engine's machine, so what they ask at has to be reached from outside. */
function isAsked({ health = [] }: Blueprint, { role, ready = [] }: MemberTemplate, port: string): boolean {
  const questions = [...ready, ...health.filter((rule) => rule.role === role).map(({ ask }) => ask)];
  return questions.some(({ http, tcp, jsonRpc }) => (http ?? tcp ?? jsonRpc)?.port === port);
}

/** Certificates the members of a cluster need. Errors: `invalid_argument` with reason `blueprint_broken`. */
export function certificateWishes(blueprint: Blueprint, parameters: Labels): readonly CertificateWish[] {
  return expand(blueprint, parameters).flatMap(({ name: member, index, template }) =>
    Object.entries(template.certificates ?? {}).map(([name, { authority, unit }]) => {
      const scope = { ...typed(blueprint, parameters), member: { name: member, role: template.role, index } };
      try {
        return { member, name, authority: renderTemplate(authority, scope), ...(unit === undefined ? {} : { unit }) };
      } catch (error) {
        throw broken(blueprint, error);
      }
    }),
  );
}

export function clusterWeight(blueprint: Blueprint, parameters: Labels): number {
  const count = expand(blueprint, parameters).length;
  return blueprint.weight === undefined ? count : wholeNumber(blueprint, 'weight', blueprint.weight, parameters);
}

/**
 * Everything a cluster is made of. A template may speak of the parameters by their names, of `secrets`, `cluster`, `incarnation`, `agent`, of `members`
 * (each with `name`, `role`, `index`, and by port `listen`, `address` and `public`: where it listens, where other members reach it, where
 * clients do, and `certificates`, each with `certificate` and `key` as PEM), of `authorities` by name, of `root`, which stands before absolute
 * paths, and, in a member's own texts, of `member`.
 * Errors: `invalid_argument` with reason `blueprint_broken`.
 */
export function planMembers(blueprint: Blueprint, context: PlanContext): MembersPlan {
  const scene = sceneOf(blueprint, context);
  const { expanded, members, render, renderAll } = scene;
  const checks = checksOf(blueprint, scene);
  return {
    ...checks,
    members: expanded.map(({ template }, at) => {
      const own = members[at];
      const { limits = {}, stop = {} } = template;
      return {
        ...(checks.members[at] as CheckedMember),
        image: template.image === undefined ? '' : render(template.image, own),
        command: template.command.map((text) => render(text, own)),
        programs: template.programs ?? [],
        environment: renderAll(template.environment, own),
        volumes: Object.entries(template.volumes ?? {}).map(([volume, path]) => ({ name: volume, path })),
        files: Object.entries(template.files ?? {}).map(([path, file]) => ({ ...file, path, text: render(file.text, own) })),
        memoryBytesMax: (limits.memoryMiB ?? 0) * mebibyte,
        cpuMillisMax: limits.cpuMillis ?? 0,
        processesMax: limits.processes ?? 0,
        stopSignal: stop.signal ?? 'SIGTERM',
        stopTimeoutMs: stop.timeoutMs ?? stopTimeoutMsDefault,
      };
    }),
    endpoints: saidIn(renderAll(blueprint.endpoints)),
    connection: saidIn(renderAll(blueprint.connection)),
  };
}

/** What comes out empty is not there, such as the keys of an organisation that the parameters leave out. */
const saidIn = (texts: Labels): Labels => Object.fromEntries(Object.entries(texts).filter(([, text]) => text !== ''));

/** The part of `planMembers` that asking needs. Errors: the same. */
export const planChecks = (blueprint: Blueprint, context: PlanContext): ChecksPlan =>
  checksOf(blueprint, sceneOf(blueprint, context));

function checksOf(blueprint: Blueprint, { expanded, members, render }: Scene): ChecksPlan {
  return {
    members: expanded.map(({ name, template, after }, at) => {
      const own = members[at];
      return {
        ...{ name, role: template.role, after },
        ports: Object.entries(template.ports ?? {}).map(([port, { port: inside, udp = false }]) => ({
          name: port,
          port: own?.ports[port]?.inside ?? inside,
          hostPort: own?.ports[port]?.host ?? 0,
          isUdp: udp,
        })),
        ready: (template.ready ?? []).map((question) => renderQuestion(question, (text) => render(text, own))),
      };
    }),
    health: (blueprint.health ?? []).map((rule) => ({
      ...rule,
      ...(rule.atLeast === undefined ? {} : { atLeast: render(rule.atLeast) }),
      ...(rule.growsSeconds === undefined ? {} : { growsSeconds: render(rule.growsSeconds) }),
      ask: renderQuestion(rule.ask, (text) => render(text)),
    })),
  };
}

/** What the templates of a blueprint see, and how they are rendered. */
interface Scene {
  readonly expanded: readonly Expanded[];
  readonly members: readonly MemberScope[];
  readonly render: (text: string | number, member?: object) => string;
  readonly renderAll: (texts?: Readonly<Record<string, string | number>>, member?: object) => Labels;
}

function sceneOf(blueprint: Blueprint, context: PlanContext): Scene {
  const { parameters, secrets, cluster, incarnation, agent } = context;
  const expanded = expand(blueprint, parameters);
  const members = expanded.map((one) => memberScope(one, context));
  const shared = {
    ...typed(blueprint, parameters),
    ...{ secrets, cluster, incarnation, agent, members },
    authorities: authoritiesIn(secrets),
    root: rootOf(agent),
  };
  const render = (text: string | number, member?: object): string => {
    try {
      return renderTemplate(text, member ? { ...shared, member } : shared);
    } catch (error) {
      throw broken(blueprint, error);
    }
  };
  return {
    ...{ expanded, members, render },
    renderAll: (texts = {}, member) =>
      Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, render(text, member)])),
  };
}

/** Tells whether a member is still what its plan says; of nothing that changes by itself. */
export function memberDigest(member: PlannedMember): string {
  const { ready: _, after: __, ...made } = member;
  return createHash('sha256').update(JSON.stringify(made)).digest('hex').slice(0, 16);
}

interface Expanded {
  readonly name: string;
  readonly index: number;
  readonly template: MemberTemplate;
  readonly after: readonly string[];
}

const membersMax = 100;

function expand(blueprint: Blueprint, parameters: Labels): readonly Expanded[] {
  const byRole = new Map<string, readonly string[]>();
  const all: Expanded[] = [];
  for (const template of blueprint.members) {
    const { role, count } = template;
    const total = count === undefined ? 1 : wholeNumber(blueprint, `count of "${role}"`, count, parameters);
    const names = count === undefined ? [role] : Array.from({ length: total }, (_, index) => `${role}-${index}`);
    byRole.set(role, names);
    const after = (template.after ?? []).flatMap((other) => byRole.get(other) ?? []);
    all.push(...names.map((name, index) => ({ name, index, template, after })));
  }
  if (all.length <= membersMax) return all;
  throw invalidArgument(
    `A cluster of blueprint "${blueprint.name}" would have ${all.length} members; ${membersMax} are the most`,
    {
      reason: 'parameter_invalid',
    },
  );
}

function wholeNumber(blueprint: Blueprint, what: string, text: string | number, parameters: Labels): number {
  let rendered: string;
  try {
    rendered = renderTemplate(text, typed(blueprint, parameters)).trim();
  } catch (error) {
    throw broken(blueprint, error);
  }
  if (/^\d{1,6}$/.test(rendered)) return Number(rendered);
  throw broken(blueprint, new Error(`the ${what} is ${JSON.stringify(rendered)}, which is no whole number`));
}

interface MemberScope {
  readonly name: string;
  readonly role: string;
  readonly index: number;
  readonly root: string;
  readonly ports: Readonly<Record<string, { readonly inside: number; readonly host: number }>>;
  readonly certificates: Readonly<Record<string, { readonly certificate: string; readonly key: string }>>;
  readonly listen: Labels;
  readonly address: Labels;
  readonly public: Labels;
}

/** What stands before absolute paths: local processes have a folder instead of a file system of their own. */
const rootOf = (agent: AgentType): string => (agent === 'process' || agent === 'simulated' ? '.' : '');

/** Local processes share the host's address and ports; members of other agents have a name and ports of their own. */
function memberScope({ name, index, template }: Expanded, context: PlanContext): MemberScope {
  const isShared = context.agent === 'process' || context.agent === 'simulated';
  const hostPort = (port: string): number =>
    context.ports.find((reserved) => reserved.member === name && reserved.name === port)?.port ?? 0;
  const ports = Object.fromEntries(
    Object.entries(template.ports ?? {}).map(([port, { port: own }]) => {
      const host = hostPort(port);
      return [port, { inside: isShared ? host : own, host }];
    }),
  );
  const byPort = (text: (inside: number, host: number) => string): Labels =>
    Object.fromEntries(Object.entries(ports).map(([port, { inside, host }]) => [port, text(inside, host)]));
  return {
    ...{ name, role: template.role, index, ports },
    certificates: Object.fromEntries(
      Object.keys(template.certificates ?? {}).map((certificate) => {
        const { certificate: pem, key } = secretNames(name, certificate);
        return [certificate, { certificate: context.secrets[pem] ?? '', key: context.secrets[key] ?? '' }];
      }),
    ),
    root: rootOf(context.agent),
    listen: byPort((inside) => `${isShared ? '127.0.0.1' : '0.0.0.0'}:${inside}`),
    address: byPort((inside) => `${isShared ? '127.0.0.1' : name}:${inside}`),
    public: byPort((_, host) => `${context.publicHosts?.[name] ?? context.publicHost}:${host}`),
  };
}

/** Parameters as templates see them: numbers count and truths decide. */
function typed({ parameters = {} }: Blueprint, values: Labels): Readonly<Record<string, string | number | boolean>> {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => {
      const type = parameters[name]?.type;
      const isNumber = type === 'integer' || (type === 'choice' && typeof parameters[name]?.choices?.[0] === 'number');
      return [name, isNumber ? Number(value) : type === 'boolean' ? value === 'true' : value];
    }),
  );
}

function renderQuestion(question: Question, render: (text: string) => string): Question {
  const { http, jsonRpc, command } = question;
  return {
    ...question,
    ...(http ? { http: { ...http, path: render(http.path) } } : {}),
    ...(jsonRpc
      ? {
          jsonRpc: {
            ...jsonRpc,
            ...(jsonRpc.user === undefined ? {} : { user: render(jsonRpc.user) }),
            ...(jsonRpc.password === undefined ? {} : { password: render(jsonRpc.password) }),
          },
        }
      : {}),
    ...(command ? { command: command.map(render) } : {}),
  };
}

function broken({ name }: Blueprint, error: unknown): Error {
  const why = error instanceof Error ? error.message : String(error);
  return invalidArgument(`Blueprint "${name}" cannot be used with these parameters: ${why}`, {
    reason: 'blueprint_broken',
    cause: error,
  });
}
