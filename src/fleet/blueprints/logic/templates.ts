import { createRequire } from 'node:module';
import type { Liquid, Template } from 'liquidjs';
import { Lru } from '#lib/lru.ts';

/**
 * Liquid, with nothing in it that reaches files or the network: a template sees what it is given and no more.
 * Names that are not there are errors, so that a typing mistake is not an empty text.
 */
const options = {
  strictVariables: true,
  strictFilters: true,
  ownPropertyOnly: true,
  relativeReference: false,
  parseLimit: 100_000,
  renderLimit: 1000,
  memoryLimit: 10_000_000,
} as const;

let made: Liquid | undefined;
/** The same few texts are rendered for every cluster at every look. */
const parsed = new Lru<string, Template[]>(4000);

/** Loaded with the first template: an installation without a fleet does not wait for it. */
function liquid(): Liquid {
  if (!made) {
    const loaded = createRequire(import.meta.url)('liquidjs') as typeof import('liquidjs');
    made = new loaded.Liquid(options);
  }
  return made;
}

/** Why a text is no template; `undefined` when it is one. */
export function templateProblem(text: string): string | undefined {
  try {
    liquid().parse(text);
    return undefined;
  } catch (error) {
    return `This is no template: ${messageOf(error)}`;
  }
}

/** Errors: an `Error` whose message says what is missing. */
export function renderTemplate(text: string | number, scope: object): string {
  if (typeof text === 'number' || !text.includes('{')) return String(text);
  try {
    const known = parsed.get(text);
    const template = known ?? liquid().parse(text);
    if (!known) parsed.set(text, template);
    return String(liquid().renderSync(template, scope));
  } catch (error) {
    throw new Error(`${JSON.stringify(text)}: ${messageOf(error)}`, { cause: error });
  }
}

/** Without the place inside the text, which is one line as a rule. */
const messageOf = (error: unknown): string =>
  String(error instanceof Error ? error.message : error).replace(/, line:\d+, col:\d+.*$/s, '');
