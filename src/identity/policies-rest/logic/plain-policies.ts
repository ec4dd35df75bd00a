import type { Verdict } from './policy-set.ts';
import type { Entity, Question } from './question.ts';

/** A policy that says no more than who, what and where. */
export interface PlainPolicy {
  readonly effect: 'permit' | 'forbid';
  readonly principal: Scope;
  /** Empty: whatever the action. */
  readonly actions: readonly string[];
  readonly resource: Scope;
  /** From `when { principal.name == "..." }`. */
  readonly name: string | undefined;
}

/** Undefined parts ask nothing. */
interface Scope {
  readonly type: string | undefined;
  readonly equals: Entity | undefined;
  readonly within: Entity | undefined;
}

const scopes = {
  principal: { self: ['User', 'Anybody'], above: ['Role'] },
  resource: { self: ['Path', 'Call'], above: ['Path', 'Contract'] },
} as const;

/**
 * Reads the part of Cedar that most policies need: `permit` and `forbid` with `==`, `in` and `is` in their heads and at most
 * `when { principal.name == "..." }`. Such policies cannot fail and are decided here in a microsecond; the library that decides the rest
 * takes 50 and some 20 MB of memory, so it is loaded only for them (bench/policies.ts). A test compares both on random policies.
 *
 * Result: undefined when the text says anything else, or is not Cedar.
 */
export function parsePlain(text: string): readonly PlainPolicy[] | undefined {
  const tokens = tokenize(text);
  if (!tokens) return undefined;
  const reader = new Reader(tokens);
  const policies: PlainPolicy[] = [];
  while (!reader.isAtEnd) {
    const policy = readPolicy(reader);
    if (!policy || reader.hasFailed) return undefined;
    policies.push(policy);
  }
  return policies;
}

/** Cedar's rule: allowed when a permit applies and no forbid does. */
export function decidePlain(policies: ReadonlyMap<string, readonly PlainPolicy[]>, question: Question): Verdict {
  const permits: string[] = [];
  const forbids: string[] = [];
  for (const [id, parts] of policies) {
    const applying = parts.filter((policy) => applies(policy, question));
    if (applying.some(({ effect }) => effect === 'permit')) permits.push(id);
    if (applying.some(({ effect }) => effect === 'forbid')) forbids.push(id);
  }
  return forbids.length > 0 ? { isAllowed: false, policies: forbids } : { isAllowed: permits.length > 0, policies: permits };
}

function applies({ principal, actions, resource, name }: PlainPolicy, question: Question): boolean {
  return (
    (actions.length === 0 || actions.includes(question.action)) &&
    isInScope(principal, question.principal) &&
    isInScope(resource, question.resource) &&
    (name === undefined || name === question.principal.name)
  );
}

function isInScope({ type, equals, within }: Scope, entity: Question['principal'] | Question['resource']): boolean {
  return (
    (type === undefined || type === entity.type) &&
    (equals === undefined || isSame(equals, entity)) &&
    (within === undefined || isSame(within, entity) || entity.parents.some((parent) => isSame(within, parent)))
  );
}

function isSame(a: Entity, b: Entity): boolean {
  return a.id === b.id && a.type === b.type;
}

function readPolicy(reader: Reader): PlainPolicy | undefined {
  const effect = reader.take('permit') ? 'permit' : reader.expect('forbid') ? 'forbid' : undefined;
  if (!effect) return undefined;
  reader.expect('(');
  const principal = readScope(reader, 'principal');
  reader.expect(',');
  const actions = readActions(reader);
  reader.expect(',');
  const resource = readScope(reader, 'resource');
  reader.expect(')');
  const name = reader.take('when') ? readName(reader) : undefined;
  reader.expect(';');
  return { effect, principal, actions, resource, name };
}

function readScope(reader: Reader, variable: 'principal' | 'resource'): Scope {
  const { self, above } = scopes[variable];
  reader.expect(variable);
  if (reader.take('==')) return { type: undefined, equals: reader.entity(self), within: undefined };
  const type = reader.take('is') ? reader.word(self) : undefined;
  return { type, equals: undefined, within: reader.take('in') ? reader.entity(above) : undefined };
}

function readActions(reader: Reader): readonly string[] {
  reader.expect('action');
  if (reader.take('==')) return [reader.entity(['Action']).id];
  if (!reader.take('in')) return [];
  if (!reader.take('[')) return [reader.entity(['Action']).id];
  const actions = [reader.entity(['Action']).id];
  while (reader.take(',')) actions.push(reader.entity(['Action']).id);
  reader.expect(']');
  return actions;
}

function readName(reader: Reader): string {
  for (const token of ['{', 'principal', '.', 'name', '==']) reader.expect(token);
  const name = reader.string();
  reader.expect('}');
  return name;
}

/** `text` is set for strings. */
interface Token {
  readonly mark: string | undefined;
  readonly text: string | undefined;
}

const tokenPattern = /(?:[ \t\r\n]+|\/\/[^\r\n]*)|([A-Za-z_][A-Za-z0-9_]*|::|==|[()[\]{},;.])|"([^"\\\r\n]*)"/y;

function tokenize(text: string): readonly Token[] | undefined {
  const tokens: Token[] = [];
  tokenPattern.lastIndex = 0;
  while (tokenPattern.lastIndex < text.length) {
    const match = tokenPattern.exec(text);
    if (!match) return undefined;
    const [, mark, string] = match;
    if (mark !== undefined || string !== undefined) tokens.push({ mark, text: string });
  }
  return tokens;
}

/** Reads tokens in order; after the first that does not fit it has failed, and what it returns means nothing. */
class Reader {
  readonly #tokens: readonly Token[];
  #at = 0;
  hasFailed = false;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#tokens.length;
  }

  take(mark: string): boolean {
    if (this.#tokens[this.#at]?.mark !== mark) return false;
    this.#at++;
    return true;
  }

  expect(mark: string): boolean {
    const isThere = this.take(mark);
    if (!isThere) this.hasFailed = true;
    return isThere;
  }

  word(allowed: readonly string[]): string {
    const word = allowed.find((candidate) => this.take(candidate));
    if (word === undefined) this.hasFailed = true;
    return word ?? '';
  }

  string(): string {
    const text = this.#tokens[this.#at]?.text;
    this.#at++;
    if (text === undefined) this.hasFailed = true;
    return text ?? '';
  }

  entity(types: readonly string[]): Entity {
    const type = this.word(types);
    this.expect('::');
    return { type, id: this.string() };
  }
}
