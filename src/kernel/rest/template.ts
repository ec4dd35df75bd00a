/** One step of a path: fixed text, exactly one segment, or all that are left. */
export type Segment = { readonly kind: 'literal'; readonly text: string } | { readonly kind: 'one' } | { readonly kind: 'rest' };

/** A field that takes its value from the path; `first` to `end` (excluded) are places in `segments`. */
export interface Variable {
  /** Dotted proto path, such as `policy.id`. */
  readonly field: string;
  readonly first: number;
  readonly end: number;
}

/** A parsed path template of an HTTP binding. */
export interface Template {
  readonly text: string;
  readonly segments: readonly Segment[];
  readonly variables: readonly Variable[];
  /** Without the colon; empty: none. */
  readonly verb: string;
}

/**
 * Reads a path template such as `/v1/{name=shelves/*}/books/{book.id}:archive`.
 *
 * Errors: a plain `Error` (this is a fault of the program) that quotes the template. `**` must be the last step.
 * Source: google/api/http.proto, "Path template syntax".
 */
export function parseTemplate(text: string): Template {
  const fail = (why: string): Error => new Error(`Cannot start: the path template "${text}" ${why}.`);
  if (!text.startsWith('/')) throw fail('does not begin with a slash');
  const colon = text.lastIndexOf(':');
  const hasVerb = colon > text.lastIndexOf('/') && colon > text.lastIndexOf('}');
  const verb = hasVerb ? text.slice(colon + 1) : '';
  if (hasVerb && !isWord(verb)) throw fail('has a verb that is not a word');
  const segments: Segment[] = [];
  const variables: Variable[] = [];
  const add = (step: string): void => {
    if (segments.at(-1)?.kind === 'rest') throw fail('has steps after "**"');
    if (step === '*') segments.push({ kind: 'one' });
    else if (step === '**') segments.push({ kind: 'rest' });
    else if (isWord(step)) segments.push({ kind: 'literal', text: step });
    else throw fail(`has the step "${step}", which is neither a word, "*", "**" nor a variable`);
  };
  for (const step of splitSteps(hasVerb ? text.slice(1, colon) : text.slice(1))) {
    if (!step.startsWith('{')) add(step);
    else {
      const [field, pattern = '*'] = step.slice(1, -1).split('=', 2);
      if (!step.endsWith('}') || !field?.split('.').every(isWord)) throw fail(`has the malformed variable "${step}"`);
      const first = segments.length;
      for (const inner of pattern.split('/')) add(inner);
      variables.push({ field, first, end: segments.length });
    }
  }
  return { text, segments, variables, verb };
}

/**
 * The path with values in place of variables, encoded so that `readVariable` gives them back: `%3A` for a colon, so that a name
 * that ends in `:list` is no verb. Undefined when a value does not fit its variable: empty where one segment is asked, or with
 * empty, `.` or `..` segments, which no URL can carry.
 */
export function buildPath(template: Template, textOf: (field: string) => string): string | undefined {
  const parts: string[] = [];
  let at = 0;
  for (const variable of template.variables) {
    parts.push(...literals(template.segments.slice(at, variable.first)));
    const value = textOf(variable.field);
    if (isMulti(template, variable)) {
      const steps = value === '' ? [] : value.split('/');
      if (steps.some((step) => !isExpressible(step)) || !fits(template.segments.slice(variable.first, variable.end), steps))
        return undefined;
      parts.push(...steps.map(encodeSegment));
    } else {
      if (!isExpressible(value)) return undefined;
      parts.push(encodeSegment(value));
    }
    at = variable.end;
  }
  parts.push(...literals(template.segments.slice(at)));
  return `/${parts.join('/')}${template.verb ? `:${template.verb}` : ''}`;
}

/**
 * A variable's value from the raw segments of a matched path; undefined when it has none there: broken percent-encoding, text that
 * is not UTF-8, a NUL, or in a path of several segments one that is empty, `.`, `..` or holds a slash (`%2F`: names cannot).
 */
export function readVariable(template: Template, variable: Variable, raw: readonly string[]): string | undefined {
  if (!isMulti(template, variable)) return decodeSegment(raw[variable.first] ?? '');
  const isRest = template.segments[variable.end - 1]?.kind === 'rest';
  let end = isRest ? raw.length : variable.end;
  // One slash at the end means the folder itself.
  if (isRest && end > variable.first && raw[end - 1] === '') end--;
  let value = '';
  for (let index = variable.first; index < end; index++) {
    const step = decodeSegment(raw[index] ?? '');
    if (step === undefined || !isExpressible(step) || step.includes('/')) return undefined;
    value = index === variable.first ? step : `${value}/${step}`;
  }
  return value;
}

/** Undefined when the text is not percent-encoded UTF-8, or holds a NUL. */
export function decodeSegment(raw: string): string | undefined {
  if (!raw.includes('%')) return raw;
  try {
    const text = decodeURIComponent(raw);
    return text.includes('\0') ? undefined : text;
  } catch {
    // A URIError says only that it is malformed; so do we.
    return undefined;
  }
}

function isMulti({ segments }: Template, { first, end }: Variable): boolean {
  return end - first !== 1 || segments[first]?.kind === 'rest';
}

function fits(segments: readonly Segment[], steps: readonly string[]): boolean {
  const isOpen = segments.at(-1)?.kind === 'rest';
  if (isOpen ? steps.length < segments.length - 1 : steps.length !== segments.length) return false;
  return segments.every((segment, index) => segment.kind !== 'literal' || segment.text === steps[index]);
}

function literals(segments: readonly Segment[]): string[] {
  return segments.map((segment) => {
    if (segment.kind !== 'literal') throw new Error('A path with a wildcard outside a variable cannot be built');
    return segment.text;
  });
}

// What RFC 3986 reserves is encoded too, unlike by `encodeURIComponent` alone.
function encodeSegment(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}

function isExpressible(step: string): boolean {
  return step !== '' && step !== '.' && step !== '..' && !step.includes('\0') && step.isWellFormed();
}

function isWord(text: string): boolean {
  return /^[A-Za-z0-9._~-]+$/.test(text) && text !== '.' && text !== '..';
}

/** At the slashes outside braces. */
function splitSteps(text: string): string[] {
  const steps = [''];
  let depth = 0;
  for (const char of text) {
    if (char === '/' && depth === 0) steps.push('');
    else steps.push(`${steps.pop()}${char}`);
    depth += char === '{' ? 1 : char === '}' ? -1 : 0;
  }
  return steps;
}
