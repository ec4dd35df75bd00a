import type { Violation } from '../fault.ts';
import { type Entry, environmentName, type MapEntry, type Schema } from './schema.ts';
import { Secret, SettingProblem, type SettingsSpec } from './setting.ts';

/** Where a value comes from; a later one wins over an earlier one. */
export const Source = { Default: 'default', File: 'file', Set: 'set', Environment: 'environment', Flag: 'flag' } as const;
export type Source = (typeof Source)[keyof typeof Source];

/** A value as somebody wrote it. */
export interface Given {
  readonly key: string;
  readonly value: unknown;
  readonly source: Source;
  /** For people: `cellar.yaml line 4`, `environment CELLAR_GATEWAY_PORT`, `flag --port`. */
  readonly where: string;
}

export interface Resolved {
  readonly value: unknown;
  readonly source: Source;
  readonly where: string;
}

/** The settings of an installation: what each key is and who said so. */
export interface Settings {
  readonly schema: Schema;
  readonly byKey: ReadonlyMap<string, Resolved>;
  /** What is wrong; a key with a problem keeps the value it would have without. */
  readonly problems: readonly Violation[];
}

const ranks: Readonly<Record<Source, number>> = { default: 0, file: 1, set: 2, environment: 3, flag: 4 };

/** Lays the given values over the defaults and lists everything that is wrong with them. */
export function resolveSettings(schema: Schema, given: readonly Given[]): Settings {
  const problems: Violation[] = [];
  const byKey = new Map<string, Resolved>();
  for (const { key, setting } of schema.entries)
    byKey.set(key, { value: setting.default, source: Source.Default, where: 'default' });
  const groups = new Map<MapEntry, Set<string>>();
  for (const one of given.toSorted((a, b) => ranks[a.source] - ranks[b.source])) {
    const entry = schema.find(one.key);
    const problem = entry ? problemOf(entry, one, byKey) : unknownKey(schema, one);
    if (problem) problems.push(problem);
    else if (entry?.inMap) {
      const { map, name } = entry.inMap;
      groups.set(map, (groups.get(map) ?? new Set()).add(name));
    }
  }
  for (const [map, names] of groups) {
    for (const name of names) {
      for (const [leaf, setting] of Object.entries(map.setting.of)) {
        const key = `${map.key}.${name}.${leaf}`;
        if (!byKey.has(key)) byKey.set(key, { value: setting.default, source: Source.Default, where: 'default' });
      }
    }
  }
  return { schema, byKey, problems };
}

/** What is wrong is the name of a group, not the value. */
export class NameProblem extends SettingProblem {}

/** Reads a value for a key. Errors: a `SettingProblem` whose message is a whole sentence. */
export function parseValue(entry: Entry, value: unknown): unknown {
  if (entry.inMap) {
    const { map, name } = entry.inMap;
    const { keyPattern, keyAllowed } = map.setting;
    if (!keyPattern.test(name)) throw new NameProblem(`in a group named by ${keyAllowed}; "${name}" is no such name`);
  }
  return entry.setting.parse(value);
}

/** The values of one section, typed by its spec. */
export function sectionOf(settings: Settings, section: string, spec: SettingsSpec): Readonly<Record<string, unknown>> {
  const names = Object.keys(spec).map((name) => [name, settingValue(settings, name === section ? name : `${section}.${name}`)]);
  return Object.freeze(Object.fromEntries(names));
}

/** The value of a key; of a map all its groups by name. */
export function settingValue(settings: Settings, key: string): unknown {
  const map = settings.schema.map(key);
  if (!map) return settings.byKey.get(key)?.value;
  const groups: Record<string, Record<string, unknown>> = {};
  for (const [full, { value }] of settings.byKey) {
    const inMap = full.startsWith(`${key}.`) ? settings.schema.find(full)?.inMap : undefined;
    if (inMap?.map === map) {
      groups[inMap.name] ??= {};
      (groups[inMap.name] as Record<string, unknown>)[inMap.leaf] = value;
    }
  }
  return groups;
}

/** Values given by environment variables. Variables that look like ours and are not are told apart, since containers add such ones. */
export function readEnvironment(
  schema: Schema,
  environment: Readonly<Record<string, string | undefined>>,
): { readonly given: Given[]; readonly unknown: string[] } {
  const names = new Map(schema.entries.map(({ key }) => [environmentName(key), key]));
  const given: Given[] = [];
  const unknown: string[] = [];
  for (const [name, value] of Object.entries(environment)) {
    if (!name.startsWith('CELLAR_') || value === undefined) continue;
    const key = names.get(name);
    if (key) given.push({ key, value, source: Source.Environment, where: `environment ${name}` });
    else if (!notSettings.has(name)) unknown.push(name);
  }
  return { given, unknown };
}

/** Variables of the command itself. */
const notSettings = new Set(['CELLAR_HOME', 'CELLAR_SERVER', 'CELLAR_TOKEN', 'CELLAR_CA', 'CELLAR_PROFILE']);

function problemOf(entry: Entry, given: Given, byKey: Map<string, Resolved>): Violation | undefined {
  try {
    byKey.set(given.key, { value: parseValue(entry, given.value), source: given.source, where: given.where });
    return undefined;
  } catch (error) {
    if (!(error instanceof SettingProblem)) throw error;
    const value = entry.setting.kind === 'secret' || error instanceof NameProblem ? '' : `, but is ${shown(given.value)}`;
    return { field: given.key, message: `must be ${error.message}${value} (${given.where})` };
  }
}

function unknownKey(schema: Schema, { key, where }: Given): Violation {
  const meant = schema.suggest(key);
  return { field: key, message: `is not a setting${meant ? `; did you mean "${meant}"?` : ''} (${where})` };
}

/** A value as people may see it. */
export function shown(value: unknown): string {
  if (value instanceof Secret) return value.toString();
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 100 ? `${text.slice(0, 100)}...` : text;
}
