import type { DescField, DescMessage, DescService } from '@bufbuild/protobuf';
import { Role, RoleSchema } from '#gen/cellar/kernel/v1/options_pb.ts';
import { readContract } from '../calls/contract.ts';
import { Code } from '../fault.ts';
import { hasPart } from './content-answer.ts';
import { isQueryField, type RestRoute, routesOf } from './route.ts';
import { type Comments, type Schema, Schemas } from './schema.ts';
import type { Template } from './template.ts';

export interface OpenApiOptions {
  readonly title: string;
  readonly version: string;
  readonly description: string;
  readonly contracts: readonly DescService[];
  readonly comments: Comments;
}

const json = 'application/json';

/** Describes contracts as OpenAPI 3.1: what `createTranscoder` serves. Source: OpenAPI Specification 3.1.1. */
export function createOpenApi({ title, version, description, contracts, comments }: OpenApiOptions): Schema {
  const schemas = new Schemas(comments);
  const paths: Record<string, Record<string, Schema>> = {};
  const tags: Schema[] = [];
  let order = 0;
  for (const desc of contracts) {
    const methods = readContract(desc).methods.filter((method) => method.http);
    if (methods.length === 0) continue;
    tags.push({ name: desc.name, ...text(comments[desc.typeName]) });
    for (const method of methods) {
      routesOf(method).forEach((route, index) => {
        const path = pathOf(route.template);
        paths[path] ??= {};
        paths[path][route.httpMethod.toLowerCase()] = { ...operation(route, index, schemas, comments), 'x-order': order++ };
      });
    }
  }
  return {
    openapi: '3.1.0',
    info: { title, version, description, license: { name: 'Apache-2.0', identifier: 'Apache-2.0' } },
    servers: [{ url: '/' }],
    tags,
    paths,
    security: [{ token: [] }, { session: [] }],
    components: {
      schemas: { ...schemas.components, Problem: problemSchema },
      responses: {
        Problem: {
          description: 'What could not be done, why, and what to do.',
          content: { 'application/problem+json': { schema: ref('Problem') } },
        },
      },
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer', description: 'A personal token, or the token of a session.' },
        session: { type: 'apiKey', in: 'cookie', name: 'cellar_session', description: 'Set by signing in; for browsers.' },
      },
    },
  };
}

function operation(route: RestRoute, index: number, schemas: Schemas, comments: Comments): Schema {
  const { method } = route;
  const comment = comments[`${method.desc.parent.typeName}.${method.desc.name}`];
  const isOpen = method.roles.has(Role.ANYONE);
  const parameters = [...pathParameters(route, schemas), ...queryParameters(route, schemas), ...headerParameters(route)];
  const body = requestBody(route, schemas);
  return {
    operationId: `${method.desc.parent.name}_${method.desc.name}${index === 0 ? '' : `_${index + 1}`}`,
    tags: [method.desc.parent.name],
    summary: words(method.desc.name),
    ...text(comment),
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(body ? { requestBody: body } : {}),
    responses: responses(route, schemas),
    ...(isOpen ? { security: [] } : {}),
    'x-access': method.isWrite ? 'write' : 'read',
    'x-roles': [...method.roles].map((role) => RoleSchema.value[role]?.localName.toLowerCase()),
    ...(isOpen ? {} : { 'x-scope': method.scope }),
    'x-idempotent': method.isIdempotent,
    ...(method.timeoutMs > 0 ? { 'x-timeout-ms': method.timeoutMs } : {}),
  };
}

function pathParameters({ variables, template }: RestRoute, schemas: Schemas): Schema[] {
  return variables.map(({ variable, fields }) => {
    const { description, ...schema } = schemas.field(last(fields));
    const isPath = variable.end - variable.first !== 1 || template.segments[variable.first]?.kind === 'rest';
    const note = isPath
      ? 'May have slashes between its names; within a name every reserved character is percent-encoded, a colon as `%3A`.'
      : undefined;
    return {
      name: variable.field,
      in: 'path',
      required: true,
      ...text([description, note].filter(Boolean).join('\n\n')),
      schema,
      ...(isPath ? { 'x-slashes': true } : {}),
    };
  });
}

function queryParameters(route: RestRoute, schemas: Schemas): Schema[] {
  if (route.body === 'all') return [];
  // What a header says is not asked for twice.
  const isTaken = (field: DescField): boolean =>
    (route.isUpload && ['size_bytes', 'if_absent', 'if_etag'].includes(field.name)) ||
    (route.isDownload && hasPart(route.method.input) && ['first_byte', 'length', 'suffix_length'].includes(field.name));
  const collect = (desc: DescMessage, parents: readonly DescField[]): Schema[] =>
    desc.fields.flatMap((field) => {
      const fields = [...parents, field];
      if (!isQueryField(route, fields) || isTaken(field)) return [];
      if (schemas.isPlain(field)) {
        const { description, ...schema } = schemas.field(field);
        return [
          { name: fields.map((one) => one.jsonName).join('.'), in: 'query', ...text(description as string | undefined), schema },
        ];
      }
      const isEndless = field.fieldKind !== 'message' || parents.some((parent) => parent.message === field.message);
      return isEndless ? [] : collect(field.message, fields);
    });
  return collect(route.method.input, []);
}

function headerParameters({ isUpload, isDownload, method }: RestRoute): Schema[] {
  const header = (name: string, description: string): Schema => ({ name, in: 'header', description, schema: { type: 'string' } });
  if (isUpload) {
    const { ifAbsent, ifEtag } = method.input.field;
    return [
      ...(ifAbsent ? [header('If-None-Match', '`*`: only when nothing is there yet.')] : []),
      ...(ifEtag ? [header('If-Match', 'An ETag: only while the content is still this one.')] : []),
    ];
  }
  if (isDownload && hasPart(method.input)) {
    return [
      header('Range', 'Such as `bytes=0-499`, `bytes=500-` or `bytes=-500`.'),
      header('If-Range', 'The range counts only while the content is still this one; an ETag or a date.'),
      header('If-None-Match', 'An ETag; 304 when the content is still this one.'),
    ];
  }
  return [];
}

function requestBody(route: RestRoute, schemas: Schemas): Schema | undefined {
  if (route.body === 'none') return undefined;
  if (route.isUpload) return { required: true, content: { '*/*': { schema: { type: 'string', format: 'binary' } } } };
  if (route.body !== 'all') return { required: true, content: { [json]: { schema: schemas.message(route.body.message) } } };
  const { input } = route.method;
  const inPath = new Set(route.variables.map(({ fields }) => fields[0]));
  const fields = input.fields.filter((field) => !inPath.has(field));
  const schema = fields.length === input.fields.length ? schemas.message(input) : schemas.object(input, fields);
  return {
    required: fields.some((field) => schemas.object(input, [field])['required'] !== undefined),
    content: { [json]: { schema } },
  };
}

function responses(route: RestRoute, schemas: Schemas): Schema {
  const { method, responseField, isDownload } = route;
  const failure = { default: { $ref: '#/components/responses/Problem' } };
  if (isDownload) {
    const content = { '*/*': { schema: { type: 'string', format: 'binary' } } };
    const parts = hasPart(method.input)
      ? {
          206: { description: 'The part that `Range` asked for.', content },
          304: { description: 'Still the content that the condition names.' },
          416: { $ref: '#/components/responses/Problem' },
        }
      : {};
    return { 200: { description: 'The content.', content }, ...parts, ...failure };
  }
  const schema = schemas.message(responseField?.message ?? method.output);
  if (method.kind === 'server_streaming') {
    return {
      200: {
        description:
          'A stream of these: one a line, or one an event. A failure on the way is the last line, `{"@error": …}`, or the event `error`.',
        content: { 'application/x-ndjson': { schema }, 'text/event-stream': { schema } },
      },
      ...failure,
    };
  }
  return { 200: { description: 'Done.', content: { [json]: { schema } } }, ...failure };
}

const problemSchema: Schema = {
  type: 'object',
  description: 'A failure (RFC 9457).',
  required: ['type', 'title', 'status', 'detail', 'code', 'reason'],
  properties: {
    type: { type: 'string', format: 'uri', description: '`urn:cellar:fault:` and the reason.' },
    title: { type: 'string', description: 'What kind of failure it is.' },
    status: { type: 'integer', description: 'The HTTP status.' },
    detail: { type: 'string', description: 'What could not be done and why.' },
    instance: { type: 'string', format: 'uri', description: 'This case in the logs.' },
    code: { type: 'string', enum: Object.values(Code) },
    reason: { type: 'string', description: 'A stable word for this case.' },
    hint: { type: 'string', description: 'What to do about it.' },
    violations: {
      type: 'array',
      items: {
        type: 'object',
        required: ['field', 'message'],
        properties: { field: { type: 'string' }, message: { type: 'string' } },
      },
    },
    retryAfterMs: { type: 'integer', description: 'When a retry makes sense. Unit: milliseconds.' },
  },
};

/** The template as OpenAPI writes paths: one name in braces for each variable. */
function pathOf({ segments, variables, verb }: Template): string {
  const parts: string[] = [];
  for (let index = 0; index < segments.length; index++) {
    const segment = segments[index];
    const variable = variables.find(({ first, end }) => first <= index && index < end);
    if (variable) {
      if (variable.first === index) parts.push(`{${variable.field}}`);
    } else if (segment?.kind === 'literal') parts.push(segment.text);
    else parts.push('*');
  }
  return `/${parts.join('/')}${verb ? `:${verb}` : ''}`;
}

/** `MakeFolder` as `Make folder`. */
function words(name: string): string {
  return name.replace(/(?<=[a-z])[A-Z]/g, (char) => ` ${char.toLowerCase()}`);
}

function text(description: string | undefined): Schema {
  return description ? { description } : {};
}

function ref(name: string): Schema {
  return { $ref: `#/components/schemas/${name}` };
}

function last(fields: readonly DescField[]): DescField {
  return fields.at(-1) as DescField;
}
