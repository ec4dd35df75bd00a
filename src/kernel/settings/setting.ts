/**
 * One setting: what it is, in what unit, what it is when nobody says, and what it does. The reference page, `cellar config`, and
 * the checks at start are all made from this.
 */
export interface Setting<T> {
  readonly kind: 'text' | 'integer' | 'boolean' | 'choice' | 'secret' | 'list' | 'map';
  readonly unit: string;
  readonly default: T;
  readonly meaning: string;
  /** Takes effect only when the service starts anew. */
  readonly needsRestart: boolean;
  /** Allowed values in words, such as `1 to 65535`; empty: any of the kind. */
  readonly allowed: string;
  /** Reads a value from YAML or JSON; text is accepted for every kind, as environment variables and flags have nothing else.
   *  Errors: a `SettingProblem` whose message completes "X must be ...". */
  readonly parse: (value: unknown) => T;
}

/** What is wrong with a value, as the end of a sentence: `a whole number from 1 to 65535`. */
export class SettingProblem extends Error {}

export type SettingsSpec = Readonly<Record<string, Setting<unknown>>>;

/** The typed, frozen values of a spec. */
export type SettingsOf<S extends SettingsSpec> = { readonly [K in keyof S]: S[K] extends Setting<infer T> ? T : never };

interface Common<T> {
  readonly default: T;
  readonly meaning: string;
  readonly needsRestart?: boolean;
}

export function text(options: Common<string> & { pattern?: RegExp; allowed?: string }): Setting<string> {
  const { pattern, allowed = '' } = options;
  return setting('text', options, allowed, '', (value) => {
    const word = typeof value === 'number' || typeof value === 'boolean' ? String(value) : value;
    if (typeof word !== 'string') throw new SettingProblem('text');
    if (pattern && !pattern.test(word)) throw new SettingProblem(allowed || `text that matches ${pattern.source}`);
    return word;
  });
}

export function integer(options: Common<number> & { min: number; max: number; unit?: string }): Setting<number> {
  const allowed = `a whole number from ${options.min} to ${options.max}`;
  return setting('integer', options, allowed, options.unit ?? '', (value) => {
    const number = typeof value === 'string' && /^-?\d+$/.test(value.trim()) ? Number(value) : value;
    if (typeof number !== 'number' || !Number.isInteger(number) || number < options.min || number > options.max)
      throw new SettingProblem(allowed);
    return number;
  });
}

export function boolean(options: Common<boolean>): Setting<boolean> {
  return setting('boolean', options, 'true or false', '', (value) => {
    if (value === true || value === 'true') return true;
    if (value === false || value === 'false') return false;
    throw new SettingProblem('true or false');
  });
}

export function choice<const T extends string>(options: Common<T> & { of: readonly T[] }): Setting<T> {
  const allowed = `one of ${options.of.join(', ')}`;
  return setting('choice', options, allowed, '', (value) => {
    if (!options.of.includes(value as T)) throw new SettingProblem(allowed);
    return value as T;
  });
}

/** Text that is never printed. Its value is wrapped, so that no log or JSON shows it by accident. */
export function secret(options: Common<Secret>): Setting<Secret> {
  return setting('secret', options, '', '', (value) => {
    if (value instanceof Secret) return value;
    if (typeof value !== 'string') throw new SettingProblem('text');
    return new Secret(value);
  });
}

export function list(options: Common<readonly string[]>): Setting<readonly string[]> {
  return setting('list', options, 'a list of words', '', (value) => {
    const words =
      typeof value === 'string'
        ? value
            .split(',')
            .map((word) => word.trim())
            .filter(Boolean)
        : value;
    if (!Array.isArray(words) || !words.every((word) => typeof word === 'string')) throw new SettingProblem('a list of words');
    return Object.freeze([...words]);
  });
}

/** What a map's groups are called and hold. */
export interface MapShape<S extends SettingsSpec = SettingsSpec> {
  readonly of: S;
  readonly keyPattern: RegExp;
  /** In words, such as `lower-case letters`. */
  readonly keyAllowed: string;
}

/** Named groups of settings of one shape, such as `datasources.<name>.folder`. */
export function map<S extends SettingsSpec>(options: {
  meaning: string;
  needsRestart?: boolean;
  keyPattern: RegExp;
  keyAllowed: string;
  of: S;
}): Setting<Readonly<Record<string, SettingsOf<S>>>> & MapShape<S> {
  const parse = (value: unknown): Readonly<Record<string, SettingsOf<S>>> => {
    if (!isRecord(value)) throw new SettingProblem('a map of names');
    const out: Record<string, SettingsOf<S>> = {};
    for (const [key, group] of Object.entries(value)) {
      if (!options.keyPattern.test(key)) throw new SettingProblem(`a map whose names are ${options.keyAllowed}; "${key}" is not`);
      if (!isRecord(group)) throw new SettingProblem(`a map; "${key}" is not followed by settings`);
      for (const name of Object.keys(group)) {
        if (!(name in options.of))
          throw new SettingProblem(`a map that knows ${Object.keys(options.of).join(', ')}; "${key}.${name}" is unknown`);
      }
      const values: Record<string, unknown> = {};
      for (const [name, spec] of Object.entries(options.of)) {
        try {
          values[name] = name in group ? spec.parse(group[name]) : spec.default;
        } catch (error) {
          if (error instanceof SettingProblem) throw new SettingProblem(`a map where "${key}.${name}" is ${error.message}`);
          throw error;
        }
      }
      out[key] = Object.freeze(values) as SettingsOf<S>;
    }
    return Object.freeze(out);
  };
  const { of, keyPattern, keyAllowed } = options;
  return { ...setting('map', { default: Object.freeze({}), ...options }, '', '', parse), of, keyPattern, keyAllowed };
}

/** A value that does not print. */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  reveal(): string {
    return this.#value;
  }

  get isEmpty(): boolean {
    return this.#value === '';
  }

  toString(): string {
    return '(secret)';
  }

  toJSON(): string {
    return '(secret)';
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return '(secret)';
  }
}

/** All values at their defaults, with some given; for tests and embedded use. */
export function settingsOf<S extends SettingsSpec>(spec: S, given: Partial<SettingsOf<S>> = {}): SettingsOf<S> {
  const entries = Object.entries(spec).map(([name, { default: value }]) => [
    name,
    name in given ? given[name as keyof S] : value,
  ]);
  return Object.freeze(Object.fromEntries(entries)) as SettingsOf<S>;
}

function setting<T>(
  kind: Setting<T>['kind'],
  options: Omit<Common<T>, never>,
  allowed: string,
  unit: string,
  parse: (value: unknown) => T,
): Setting<T> {
  return Object.freeze({
    kind,
    unit,
    default: options.default,
    meaning: options.meaning,
    needsRestart: options.needsRestart ?? false,
    allowed,
    parse,
  });
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
