import type { DescField, JsonObject, JsonValue, Message } from '@bufbuild/protobuf';
import { invalidArgument } from '../fault.ts';
import { fieldsAt, type SetText, textSetter } from './field-text.ts';
import { isQueryField, type RestRoute } from './route.ts';

/** Fills a request message from the part of a URL after `?`. Errors: `invalid_argument` that names the parameter. */
export type ReadQuery = (message: Message, query: string) => void;

/**
 * Compiles the query parameters of a route: every field that is neither in the path nor in the body, by proto or JSON name,
 * nested as `a.b`, repeated as `a=1&a=2`.
 */
export function compileQuery(route: RestRoute): ReadQuery {
  const known = new Map<string, { set: SetText; isList: boolean; field: string }>();
  const find = (name: string): { set: SetText; isList: boolean; field: string } => {
    const found = known.get(name);
    if (found) return found;
    const fields = fieldsAt(route.method.input, name);
    const set = fields && isQueryField(route, fields) ? textSetter(fields) : undefined;
    if (!fields || !set) throw unknownParameter(route, name);
    const entry = { set, isList: fields.at(-1)?.fieldKind === 'list', field: fields.map((one) => one.name).join('.') };
    known.set(name, entry);
    return entry;
  };
  return (message, query) => {
    const seen = new Set<string>();
    for (const pair of query.split('&')) {
      if (pair === '') continue;
      const equals = pair.indexOf('=');
      const name = decode(equals < 0 ? pair : pair.slice(0, equals));
      const { set, isList, field } = find(name);
      if (!isList && seen.has(field)) throw refused(name, 'is given twice');
      seen.add(field);
      set(message, equals < 0 ? '' : decode(pair.slice(equals + 1)));
    }
  };
}

/** The JSON of a request message as the part of a URL after `?`. Errors: `invalid_argument` for what a query cannot express. */
export function writeQuery(json: JsonObject): string {
  const pairs: string[] = [];
  const write = (name: string, value: JsonValue): void => {
    if (Array.isArray(value)) {
      for (const item of value) {
        if (typeof item === 'object') throw refused(name, 'cannot be sent as a query parameter');
        pairs.push(`${name}=${encodeURIComponent(String(item))}`);
      }
    } else if (typeof value === 'object' && value !== null) {
      for (const [key, child] of Object.entries(value)) write(`${name}.${key}`, child);
    } else {
      pairs.push(`${name}=${encodeURIComponent(String(value))}`);
    }
  };
  for (const [name, value] of Object.entries(json)) write(name, value);
  return pairs.join('&');
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.includes('+') ? text.replaceAll('+', ' ') : text);
  } catch {
    throw refused(text.slice(0, 100), 'is not percent-encoded UTF-8');
  }
}

function unknownParameter(route: RestRoute, name: string): Error {
  const fields = route.method.input.fields.filter((field: DescField) => isQueryField(route, [field]));
  const allowed = fields.map((field) => field.jsonName);
  const where = `${route.httpMethod} ${route.template.text}`;
  return refused(
    name,
    'is not known here',
    allowed.length > 0 ? `${where} takes ${allowed.join(', ')}.` : `${where} takes no query parameters.`,
  );
}

function refused(name: string, why: string, hint?: string): Error {
  return invalidArgument(`The query parameter "${name}" ${why}`, {
    reason: 'invalid_parameter',
    violations: [{ field: name, message: why }],
    ...(hint ? { hint } : {}),
  });
}
