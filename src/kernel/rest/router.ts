import { decodeSegment, type Template } from './template.ts';

export interface Found<T> {
  readonly value: T;
  /** Percent-encoded segments of the path, without the verb; for `readVariable`. */
  readonly raw: readonly string[];
}

interface Node<T> {
  readonly literals: Map<string, Node<T>>;
  one: Node<T> | undefined;
  rest: Node<T> | undefined;
  /** By HTTP method and verb, such as `GET` or `POST:move`. */
  readonly values: Map<string, T>;
}

/**
 * Finds what serves a path: fixed text before `*` before `**`, a route with a verb before one without.
 *
 * Only an unencoded colon in the last segment begins a verb, and only one that some route has: `a:b` without such a route is a name.
 */
export class Router<T> {
  readonly #root: Node<T> = emptyNode();
  readonly #methods = new Set<string>();

  /** Errors: a plain `Error` when two routes have the same shape. */
  add(httpMethod: string, template: Template, value: T): void {
    let node = this.#root;
    for (const segment of template.segments) {
      if (segment.kind === 'one') node = node.one ??= emptyNode();
      else if (segment.kind === 'rest') node = node.rest ??= emptyNode();
      else {
        const next = node.literals.get(segment.text) ?? emptyNode<T>();
        node.literals.set(segment.text, next);
        node = next;
      }
    }
    const key = keyOf(httpMethod, template.verb);
    if (node.values.has(key)) throw new Error(`Cannot start: two methods have the HTTP binding ${httpMethod} ${template.text}.`);
    node.values.set(key, value);
    this.#methods.add(httpMethod);
  }

  /** `path` is still percent-encoded and begins with a slash. */
  find(httpMethod: string, path: string): Found<T> | undefined {
    const raw = path.split('/');
    raw.shift();
    const last = raw[raw.length - 1] ?? '';
    const colon = last.lastIndexOf(':');
    if (colon >= 0) {
      const named = raw.with(-1, last.slice(0, colon));
      // `/files/:list`: the verb of the folder itself.
      const value = walk(this.#root, named, 0, keyOf(httpMethod, last.slice(colon + 1)));
      if (value !== undefined) return { value, raw: named };
    }
    const value = walk(this.#root, raw, 0, httpMethod);
    return value === undefined ? undefined : { value, raw };
  }

  /** HTTP methods that the path has. */
  methodsAt(path: string): string[] {
    return [...this.#methods].filter((httpMethod) => this.find(httpMethod, path) !== undefined).sort();
  }
}

function walk<T>(node: Node<T>, raw: readonly string[], at: number, key: string): T | undefined {
  if (at === raw.length) return node.values.get(key) ?? node.rest?.values.get(key);
  const segment = raw[at] as string;
  const literal =
    node.literals.get(segment) ?? (segment.includes('%') ? node.literals.get(decodeSegment(segment) ?? '') : undefined);
  const found = literal && walk(literal, raw, at + 1, key);
  if (found !== undefined) return found;
  if (node.one && segment !== '') {
    const value = walk(node.one, raw, at + 1, key);
    if (value !== undefined) return value;
  }
  return node.rest?.values.get(key);
}

function emptyNode<T>(): Node<T> {
  return { literals: new Map(), one: undefined, rest: undefined, values: new Map() };
}

function keyOf(httpMethod: string, verb: string): string {
  return verb ? `${httpMethod}:${verb}` : httpMethod;
}
