import { type Fault, failedPrecondition, invalidArgument, notFound, type Violation } from '../fault.ts';
import type { Json, LiveConfig } from '../live-config/live-config.ts';
import type { Log } from '../log.ts';
import {
  type Given,
  NameProblem,
  parseValue,
  type Resolved,
  resolveSettings,
  type Settings,
  Source,
  sectionOf,
  shown,
} from './resolve.ts';
import type { Entry, Schema } from './schema.ts';
import { SettingProblem, type SettingsSpec } from './setting.ts';

/** Read before the stored values can be: they say where these are stored. */
const bootSections = new Set(['database', 'machine']);

/** One setting as people see it. */
export interface SettingView extends Resolved {
  readonly entry: Entry;
  /** Number of the change that set it; 0 when it is not a stored one. */
  readonly version: number;
}

/**
 * The settings of a running (or stopped) installation: what file, environment and flags say, with the stored values between them.
 * Stored values change at run time; `watch` tells of it.
 */
export class LiveSettings {
  readonly schema: Schema;
  readonly #fixed: readonly Given[];
  readonly #watchers = new Set<(settings: Settings) => void>();
  #stored: readonly Given[] = [];
  #versions = new Map<string, number>();
  #settings: Settings;
  #config: LiveConfig | undefined;

  /** Errors: `invalid_argument` with every problem of `fixed`. */
  constructor(schema: Schema, fixed: readonly Given[], fileProblems: readonly Violation[] = []) {
    this.schema = schema;
    this.#fixed = fixed;
    this.#settings = resolveSettings(schema, fixed);
    const problems = [...fileProblems, ...this.#settings.problems];
    if (problems.length > 0) throw settingsFault(problems);
  }

  get settings(): Settings {
    return this.#settings;
  }

  /** All that is given, as another process needs it to come to the same settings; `sections` narrows it. */
  given(sections?: ReadonlySet<string>): Given[] {
    return [...this.#fixed, ...this.#stored].filter(({ key }) => !sections || sections.has(this.schema.find(key)?.section ?? ''));
  }

  /** Reads the stored values and, until the signal fires, follows their changes. Stored values that are not allowed (any more) are skipped and told of. */
  async follow(config: LiveConfig, signal: AbortSignal, log: Log): Promise<void> {
    this.#config = config;
    const version = await config.version();
    await this.#reload(log);
    void this.#watch(config, version, signal, log);
  }

  /** Reads the stored values once; for commands that work on a stopped installation. */
  async load(config: LiveConfig, log: Log): Promise<void> {
    this.#config = config;
    await this.#reload(log);
  }

  /** Calls `watcher` after every change until the returned function is called. */
  watch(watcher: (settings: Settings) => void): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  list(): SettingView[] {
    const keys = [...this.#settings.byKey.keys()].toSorted();
    return keys.map((key) => this.get(key));
  }

  /** Errors: `not_found`, with the key that was probably meant. */
  get(key: string): SettingView {
    const entry = this.#entry(key);
    const resolved = this.#settings.byKey.get(key);
    if (!resolved) throw notFound(`Cannot read "${key}": it is not set`);
    return { ...resolved, entry, version: this.#versions.get(key) ?? 0 };
  }

  /**
   * Stores a value. `text` is JSON; anything else is taken as it is, as a word.
   * Errors: `invalid_argument` naming key, value and what is allowed; `failed_precondition` when file, environment or flag would win or it is
   * needed before stored values can be read.
   */
  async set(key: string, text: string, author: string, log: Log): Promise<SettingView> {
    const entry = this.#entry(key);
    this.#assertStorable(entry);
    const value = readJson(entry, text);
    try {
      parseValue(entry, value);
    } catch (error) {
      if (!(error instanceof SettingProblem)) throw error;
      const but = entry.setting.kind === 'secret' || error instanceof NameProblem ? '' : `, but is ${shown(value)}`;
      throw invalidArgument(`Cannot set ${key}: it must be ${error.message}${but}`, { reason: 'setting_invalid' });
    }
    await this.#store().set(key, value as Json, { author });
    await this.#reload(log);
    return this.get(key);
  }

  /** Forgets a stored value. Result: what holds now; undefined when it was part of a group that is gone. */
  async unset(key: string, author: string, log: Log): Promise<SettingView | undefined> {
    this.#entry(key);
    const was = this.#settings.byKey.get(key);
    if (was && !this.#versions.has(key) && was.source !== Source.Default) {
      throw failedPrecondition(`Cannot unset ${key}: it comes from ${was.where}`, { hint: 'Change it there.' });
    }
    await this.#store().unset(key, { author });
    await this.#reload(log);
    return this.#settings.byKey.has(key) ? this.get(key) : undefined;
  }

  #entry(key: string): Entry {
    const entry = this.schema.find(key);
    if (entry) return entry;
    const meant = this.schema.suggest(key);
    throw notFound(`There is no setting "${key}"`, {
      reason: 'setting_unknown',
      hint: meant ? `Did you mean "${meant}"?` : '`cellar config list` shows all.',
    });
  }

  #assertStorable({ key, section }: Entry): void {
    const now = this.#settings.byKey.get(key);
    if (bootSections.has(section)) {
      throw failedPrecondition(`Cannot set ${key}: it is needed before stored settings can be read`, {
        hint: 'Put it into cellar.yaml, or an environment variable.',
      });
    }
    if (now && (now.source === Source.Environment || now.source === Source.Flag)) {
      throw failedPrecondition(`Cannot set ${key}: ${now.where} would win over it`, { hint: 'Remove that first.' });
    }
  }

  #store(): LiveConfig {
    if (!this.#config) throw new Error('LiveSettings has no store yet');
    return this.#config;
  }

  async #watch(config: LiveConfig, after: number, signal: AbortSignal, log: Log): Promise<void> {
    let version = after;
    while (!signal.aborted) {
      try {
        for await (const changes of config.watch({ after: version, signal })) {
          version = changes.at(-1)?.version ?? version;
          await this.#reload(log);
        }
      } catch (error) {
        if (signal.aborted) return;
        log.warn('settings cannot be followed; trying again', { error });
        await new Promise((resolve) => setTimeout(resolve, 1000).unref());
      }
    }
  }

  async #reload(log: Log): Promise<void> {
    const entries = await this.#store().list();
    const stored = entries.map(
      ({ key, value, version }): Given => ({ key, value, source: Source.Set, where: `config set, version ${version}` }),
    );
    const before = this.#settings;
    this.#versions = new Map(entries.map(({ key, version }) => [key, version]));
    this.#stored = stored;
    this.#settings = resolveSettings(this.schema, [...this.#fixed, ...stored]);
    for (const problem of this.#settings.problems) {
      const isKnown = before.problems.some(({ field, message }) => field === problem.field && message === problem.message);
      if (!isKnown)
        log.warn('a stored setting is not allowed and has no effect', { key: problem.field, problem: problem.message });
    }
    if (isSame(before, this.#settings)) return;
    for (const watcher of this.#watchers) watcher(this.#settings);
  }
}

/** Every problem in one fault. */
export function settingsFault(problems: readonly Violation[]): Fault {
  const what = problems.length === 1 ? 'a setting is wrong' : `${problems.length} settings are wrong`;
  return invalidArgument(`Cannot start: ${what}`, {
    reason: 'settings_invalid',
    violations: problems,
    hint: '`cellar config list` shows every setting with what it may be.',
  });
}

/**
 * A section's values as a service sees them: those that need no restart are read anew at every access, the others keep the value
 * the service was started with.
 */
export function settingsView(section: string, spec: SettingsSpec, current: () => Settings): Readonly<Record<string, unknown>> {
  const view: Record<string, unknown> = {};
  const initial = sectionOf(current(), section, spec);
  for (const [name, setting] of Object.entries(spec)) {
    const property = setting.needsRestart
      ? { value: initial[name] }
      : { get: () => sectionOf(current(), section, { [name]: setting })[name] };
    Object.defineProperty(view, name, { enumerable: true, ...property });
  }
  return Object.freeze(view);
}

function readJson(entry: Entry, text: string): unknown {
  if (entry.setting.kind === 'text' || entry.setting.kind === 'secret' || entry.setting.kind === 'choice') {
    return text.startsWith('"') ? parseOr(text) : text;
  }
  return parseOr(text);
}

function parseOr(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not JSON, so a bare word; the setting's own rules judge it.
    return text;
  }
}

function isSame(a: Settings, b: Settings): boolean {
  if (a.byKey.size !== b.byKey.size) return false;
  for (const [key, { value, source }] of a.byKey) {
    const other = b.byKey.get(key);
    if (!other || other.source !== source || comparable(other.value) !== comparable(value)) return false;
  }
  return true;
}

function comparable(value: unknown): string {
  return typeof value === 'object' && value !== null && 'reveal' in value
    ? String((value as { reveal(): string }).reveal())
    : JSON.stringify(value);
}
