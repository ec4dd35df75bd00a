import type { DescField, DescMessage } from '@bufbuild/protobuf';
import type { HttpRule } from '#gen/google/api/http_pb.ts';
import { HttpBodySchema } from '#gen/google/api/httpbody_pb.ts';
import type { Method } from '../calls/contract.ts';
import { fieldsAt, type SetText, textSetter } from './field-text.ts';
import { parseTemplate, type Template, type Variable } from './template.ts';

/** One HTTP binding of a method, compiled. */
export interface RestRoute {
  readonly method: Method;
  /** Such as `GET`. */
  readonly httpMethod: string;
  readonly template: Template;
  readonly variables: readonly RouteVariable[];
  /** What the request's body is: nothing, the whole request message, or one of its fields. */
  readonly body: 'none' | 'all' | MessageField;
  /** The field of the answer that is sent; undefined: all of it. */
  readonly responseField: MessageField | undefined;
  /** The request's body is raw bytes: `body` is a `google.api.HttpBody` field, of each message when the client streams. */
  readonly isUpload: boolean;
  /** The answer's body is raw bytes. */
  readonly isDownload: boolean;
  /** False for additional bindings. */
  readonly isFirst: boolean;
}

export interface RouteVariable {
  readonly variable: Variable;
  readonly fields: readonly DescField[];
  readonly set: SetText;
}

export type MessageField = DescField & { readonly fieldKind: 'message' };

const compiled = new WeakMap<Method, readonly RestRoute[]>();

/** All bindings of a method, the main one first. Errors: a plain `Error` (this is a fault of the program) that names the method. */
export function routesOf(method: Method): readonly RestRoute[] {
  if (!method.http) return [];
  const known = compiled.get(method);
  if (known) return known;
  const rules = [method.http, ...method.http.additionalBindings];
  const routes = rules.map((rule, index) => compileRoute(method, rule, index === 0));
  compiled.set(method, routes);
  return routes;
}

/** True when a query parameter may fill the field: it is neither in the path nor in the body. */
export function isQueryField(route: RestRoute, fields: readonly DescField[]): boolean {
  if (route.body === 'all' || fields[0] === route.body) return false;
  return !route.variables.some(
    (one) => one.fields.length === fields.length && one.fields.every((field, index) => field === fields[index]),
  );
}

function compileRoute(method: Method, rule: HttpRule, isFirst: boolean): RestRoute {
  const fail = (why: string): Error => new Error(`Cannot start: the HTTP binding of ${method.name} ${why}.`);
  const { pattern } = rule;
  if (!pattern.case) throw fail('has no path');
  const [httpMethod, path] =
    pattern.case === 'custom'
      ? [pattern.value.kind.toUpperCase(), pattern.value.path]
      : [pattern.case.toUpperCase(), pattern.value];
  const template = parseTemplate(path);
  const variables = template.variables.map((variable) => {
    const fields = fieldsAt(method.input, variable.field);
    const last = fields?.at(-1);
    const set = fields && textSetter(fields);
    if (!fields || !set || last?.fieldKind === 'list' || last?.fieldKind === 'message')
      throw fail(`puts "${variable.field}" in its path, which is not a plain field of ${method.input.typeName}`);
    return { variable, fields, set };
  });
  const field = (desc: DescMessage, name: string): MessageField => {
    const found = fieldsAt(desc, name)?.[0];
    if (found?.fieldKind !== 'message') throw fail(`names "${name}", which is not a message in ${desc.typeName}`);
    return found;
  };
  const body = rule.body === '' ? 'none' : rule.body === '*' ? 'all' : field(method.input, rule.body);
  if (body !== 'none' && (httpMethod === 'GET' || httpMethod === 'HEAD')) throw fail('has a body in a GET');
  const responseField = rule.responseBody === '' ? undefined : field(method.output, rule.responseBody);
  const isUpload = typeof body === 'object' && isHttpBody(body.message);
  if (method.kind === 'bidi_streaming') throw fail('is for calls that stream both ways, which HTTP cannot carry');
  if (method.kind === 'client_streaming' && !isUpload)
    throw fail('streams requests whose body is not a google.api.HttpBody field');
  return {
    method,
    httpMethod,
    template,
    variables,
    body,
    responseField,
    isUpload,
    isDownload: isHttpBody(responseField?.message ?? method.output),
    isFirst,
  };
}

function isHttpBody(desc: DescMessage): boolean {
  return desc.typeName === HttpBodySchema.typeName;
}
