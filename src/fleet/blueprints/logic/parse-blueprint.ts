import { createRequire } from 'node:module';
import type { ValidateFunction } from 'ajv';
import { LineCounter, parseDocument } from 'yaml';
import schema from '../blueprint.schema.json' with { type: 'json' };
import type { Blueprint, MemberTemplate } from './blueprint.ts';
import { templateProblem } from './templates.ts';

/** What is wrong with a text, and where; lines and columns count from 1. */
export interface Problem {
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

export type ParsedBlueprint =
  | { readonly blueprint: Blueprint; readonly problems: readonly [] }
  | { readonly blueprint: undefined; readonly problems: readonly Problem[] };

let compiled: ValidateFunction<Blueprint> | undefined;

/** Loaded and compiled with the first blueprint: an installation without a fleet does not wait for it. */
function validator(): ValidateFunction<Blueprint> {
  if (compiled) return compiled;
  const require = createRequire(import.meta.url);
  const { Ajv } = require('ajv') as typeof import('ajv');
  const formats = require('ajv-formats') as typeof import('ajv-formats');
  const ajv = new Ajv({ allErrors: true, allowUnionTypes: true, strict: true, strictRequired: false, strictTypes: false });
  formats.default(ajv, { mode: 'fast', formats: ['regex'] });
  compiled = ajv.compile<Blueprint>(schema);
  return compiled;
}

/** More than these say nothing new. */
const problemsMax = 50;

/** Reads the text of a blueprint; all problems are found, not only the first. Never throws. */
export function parseBlueprint(text: string): ParsedBlueprint {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
  const at = (offset: number): Pick<Problem, 'line' | 'column'> => {
    const { line, col } = lines.linePos(offset);
    return { line, column: col };
  };
  if (document.errors.length > 0)
    return fail(document.errors.map(({ message, pos }) => ({ ...at(pos[0]), message: `This is no YAML: ${message}` })));
  const value: unknown = document.toJS({ maxAliasCount: 100 });
  const placeOf = (path: readonly (string | number)[]): Pick<Problem, 'line' | 'column'> => {
    for (let depth = path.length; depth >= 0; depth--) {
      const node = document.getIn(path.slice(0, depth), true);
      if (node !== null && typeof node === 'object' && 'range' in node && Array.isArray(node.range))
        return at(Number(node.range[0]));
    }
    return { line: 1, column: 1 };
  };
  const validate = validator();
  if (!validate(value)) {
    const errors = (validate.errors ?? []).filter(({ keyword }) => keyword !== 'if');
    return fail(
      errors.map(({ instancePath, message = '', params }) => {
        const path = instancePath.split('/').slice(1).map(unescapePointer);
        const name = path.length > 0 ? `\`${path.join('.')}\`` : 'The blueprint';
        const extra = Object.values(params).filter((one) => typeof one === 'string' || Array.isArray(one));
        const detail =
          message.includes('additional properties') || message.includes('allowed values') ? `: ${extra.join(', ')}` : '';
        return { ...placeOf(path.map(asIndex)), message: `${name} ${message}${detail}` };
      }),
    );
  }
  const problems = meaning(value).map(({ path, message }) => ({ ...placeOf(path), message }));
  return problems.length > 0 ? fail(problems) : { blueprint: value, problems: [] };
}

interface Misuse {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** What the schema cannot say: names that are used and not there, defaults that break their own rules, templates that are none. */
function meaning(blueprint: Blueprint): Misuse[] {
  const found: Misuse[] = [];
  const roles = new Map<string, MemberTemplate>();
  for (const [index, member] of blueprint.members.entries()) {
    if (roles.has(member.role)) found.push({ path: ['members', index, 'role'], message: `Role "${member.role}" is there twice` });
    for (const [at, role] of (member.after ?? []).entries()) {
      // Only earlier ones: so nothing can wait for itself.
      if (!roles.has(role))
        found.push({ path: ['members', index, 'after', at], message: `Role "${role}" is not one of those above` });
    }
    roles.set(member.role, member);
    for (const [at, question] of (member.ready ?? []).entries())
      found.push(...portMisuse(member, portOf(question), ['members', index, 'ready', at]));
    if (member.image === undefined && blueprint.agents.some((agent) => agent !== 'process' && agent !== 'simulated'))
      found.push({
        path: ['members', index],
        message: `Role "${member.role}" has no image, which agents other than "process" need`,
      });
  }
  for (const [index, rule] of (blueprint.health ?? []).entries()) {
    const member = roles.get(rule.role);
    if (!member) found.push({ path: ['health', index, 'role'], message: `There is no role "${rule.role}"` });
    else found.push(...portMisuse(member, portOf(rule.ask), ['health', index, 'ask']));
  }
  for (const [name, parameter] of Object.entries(blueprint.parameters ?? {})) {
    const message = parameterProblem(name, parameter, String(parameter.default));
    if (message) found.push({ path: ['parameters', name, 'default'], message });
  }
  for (const { path, text } of textsOf(blueprint, [])) {
    const message = templateProblem(text);
    if (message) found.push({ path, message });
  }
  return found;
}

const portOf = ({ http, tcp, jsonRpc }: { http?: { port: string }; tcp?: { port: string }; jsonRpc?: { port: string } }) =>
  (http ?? tcp ?? jsonRpc)?.port;

function portMisuse(member: MemberTemplate, port: string | undefined, path: Misuse['path']): Misuse[] {
  if (port === undefined || member.ports?.[port]) return [];
  return [{ path, message: `Role "${member.role}" has no port "${port}"` }];
}

/** Why a value is none of the parameter's; `undefined` when it is. */
export function parameterProblem(
  name: string,
  { type, min, max, choices, pattern }: NonNullable<Blueprint['parameters']>[string],
  value: string,
): string | undefined {
  const say = (allowed: string): string => `Parameter "${name}" is ${JSON.stringify(value)}, and has to be ${allowed}`;
  if (type === 'boolean') return value === 'true' || value === 'false' ? undefined : say('true or false');
  if (type === 'choice')
    return (choices ?? []).map(String).includes(value) ? undefined : say(`one of ${(choices ?? []).join(', ')}`);
  if (type === 'string')
    return pattern === undefined || new RegExp(`^(?:${pattern})$`).test(value) ? undefined : say(`like ${pattern}`);
  const number = Number(value);
  const isFine = /^-?\d{1,15}$/.test(value) && number >= (min ?? -Infinity) && number <= (max ?? Infinity);
  return isFine
    ? undefined
    : say(`a whole number${min === undefined ? '' : ` from ${min}`}${max === undefined ? '' : ` to ${max}`}`);
}

function* textsOf(
  value: unknown,
  path: readonly (string | number)[],
): Generator<{ path: readonly (string | number)[]; text: string }> {
  if (typeof value === 'string') yield { path, text: value };
  else if (Array.isArray(value)) for (const [index, one] of value.entries()) yield* textsOf(one, [...path, index]);
  else if (value !== null && typeof value === 'object')
    for (const [name, one] of Object.entries(value)) yield* textsOf(one, [...path, name]);
}

function fail(problems: readonly Problem[]): ParsedBlueprint {
  const sorted = problems.toSorted((a, b) => a.line - b.line || a.column - b.column).slice(0, problemsMax);
  return { blueprint: undefined, problems: sorted };
}

const unescapePointer = (part: string): string => part.replaceAll('~1', '/').replaceAll('~0', '~');
const asIndex = (part: string): string | number => (/^\d+$/.test(part) ? Number(part) : part);
