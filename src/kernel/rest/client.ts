import {
  create,
  type DescMessage,
  type DescService,
  fromJson,
  isMessage,
  type JsonObject,
  type JsonValue,
  type Message,
  type MessageInitShape,
  type Registry,
  toJson,
} from '@bufbuild/protobuf';
import { anyPack, timestampFromMs } from '@bufbuild/protobuf/wkt';
import { type ContentInfo, ContentInfoSchema } from '#gen/cellar/kernel/v1/content_pb.ts';
import { type HttpBody, HttpBodySchema } from '#gen/google/api/httpbody_pb.ts';
import type { CallOptions, Client } from '../calls/client.ts';
import { type Method, readContract } from '../calls/contract.ts';
import { Code, Fault, invalidArgument, unavailable } from '../fault.ts';
import { getField, readText, setField } from './field-text.ts';
import { registryOf } from './json.ts';
import { faultOf } from './problem.ts';
import { writeQuery } from './query.ts';
import { type RestRoute, routesOf } from './route.ts';
import { buildPath } from './template.ts';

export interface RestClientOptions {
  /** Such as `http://127.0.0.1:8080`; paths are put behind it. */
  readonly baseUrl: string;
  /** A session's or personal token. */
  readonly token?: string;
  readonly fetch?: typeof fetch;
  /** Ends every call of this client. */
  readonly signal?: AbortSignal;
}

interface Options extends RestClientOptions {
  readonly registry: Registry;
}

/** What is sent, whatever the kind of method. */
interface Sent {
  readonly route: RestRoute;
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body: string | ReadableStream<Uint8Array> | undefined;
}

/** A download that begins behind the end: no error, as for a service called directly. */
const emptyPart = 416;

/**
 * A typed client of a contract over HTTP. Same functions and same faults as a client of the services' own transports; only methods
 * with an HTTP binding can be called. Downloads and uploads of `google.api.HttpBody` stream.
 *
 * Errors: the `Fault` the server sent; `unavailable` that names the address when it cannot be reached; `canceled` and
 * `deadline_exceeded` by `signal` and `timeoutMs`; `unimplemented` for methods without HTTP.
 */
export function createRestClient<S extends DescService>(desc: S, given: RestClientOptions): Client<S> {
  const client: Record<string, unknown> = {};
  const options = { ...given, registry: registryOf([desc]) };
  for (const method of readContract(desc).methods) client[method.desc.localName] = clientMethod(method, options);
  return client as unknown as Client<S>;
}

function clientMethod(method: Method, options: Options): unknown {
  switch (method.kind) {
    case 'unary':
      return async (request: unknown, callOptions?: CallOptions) =>
        await unary(encode(method, toMessage(method.input, request), options.registry), options, callOptions);
    case 'server_streaming':
      return (request: unknown, callOptions?: CallOptions) => stream(method, request, options, callOptions);
    case 'client_streaming':
      return async (requests: AsyncIterable<unknown>, callOptions?: CallOptions) =>
        await unary(await encodeUpload(method, requests, options.registry), options, callOptions);
    case 'bidi_streaming':
      return () => {
        throw noRoute(method);
      };
  }
}

async function unary(sent: Sent, options: Options, callOptions: CallOptions | undefined): Promise<Message> {
  const response = await send(sent, options, callOptions, 'application/json');
  const { route } = sent;
  const { method, responseField } = route;
  try {
    if (!route.isDownload)
      return inResponse(route, decode(responseField?.message ?? method.output, await response.json(), options.registry));
    const data = new Uint8Array(await response.arrayBuffer());
    return inResponse(route, create(HttpBodySchema, { contentType: response.headers.get('content-type') ?? '', data }));
  } catch (error) {
    throw brokenAnswer(error, sent, options);
  }
}

async function* stream(
  method: Method,
  request: unknown,
  options: Options,
  callOptions: CallOptions | undefined,
): AsyncGenerator<Message, void, undefined> {
  const sent = encode(method, toMessage(method.input, request), options.registry);
  const { route } = sent;
  const response = await send(sent, options, callOptions, route.isDownload ? '*/*' : 'application/x-ndjson');
  const pieces = piecesOf(response);
  try {
    if (route.isDownload) {
      for await (const piece of download(response, pieces)) yield inResponse(route, piece);
    } else {
      for await (const line of lines(pieces)) {
        const json = JSON.parse(line) as JsonValue;
        if (isRecord(json) && '@error' in json) throw faultOf(json['@error'], response.status, options.baseUrl);
        yield inResponse(route, decode(route.responseField?.message ?? method.output, json, options.registry));
      }
    }
  } catch (error) {
    throw brokenAnswer(error, sent, options);
  }
}

async function send(
  { route, path, headers, body }: Sent,
  options: Options,
  callOptions: CallOptions | undefined,
  accept: string,
): Promise<Response> {
  const { method } = route;
  const timeoutMs = callOptions?.timeoutMs ?? method.timeoutMs;
  const signals = [options.signal, callOptions?.signal, timeoutMs > 0 ? AbortSignal.timeout(timeoutMs) : undefined];
  const init: RequestInit = {
    method: route.httpMethod,
    // A redirect would take the token elsewhere.
    redirect: 'error',
    signal: AbortSignal.any(signals.filter((signal) => signal !== undefined)),
    headers: {
      accept,
      ...(options.token ? { authorization: `Bearer ${options.token}` } : {}),
      ...(callOptions?.idempotencyKey ? { 'idempotency-key': callOptions.idempotencyKey } : {}),
      ...(timeoutMs > 0 ? { 'cellar-timeout-ms': String(timeoutMs) } : {}),
      ...headers,
    },
    ...(body === undefined ? {} : { body }),
    ...(body instanceof ReadableStream ? { duplex: 'half' } : {}),
  };
  let response: Response;
  try {
    response = await (options.fetch ?? fetch)(`${options.baseUrl.replace(/\/+$/, '')}${path}`, init);
  } catch (error) {
    throw callFault(error, options.baseUrl);
  }
  if (response.ok || (response.status === emptyPart && route.isDownload)) return response;
  const text = await response.text().catch(() => '');
  throw faultOf(parseOr(text), response.status, options.baseUrl);
}

/** The request as path, query and body. */
function encode(method: Method, message: Message, registry: Registry): Sent {
  const { route, path } = chooseRoute(method, message);
  const headers: Record<string, string> = {};
  if (route.isDownload && method.kind === 'server_streaming') message = takeRange(message, headers);
  const json = toJson(method.input, message, { registry }) as JsonObject;
  for (const { fields } of route.variables) {
    const parent = fields
      .slice(0, -1)
      .reduce<JsonValue | undefined>((scope, field) => (isRecord(scope) ? scope[field.jsonName] : undefined), json);
    if (isRecord(parent)) delete parent[fields.at(-1)?.jsonName ?? ''];
  }
  let body: string | undefined;
  if (route.body === 'all') {
    body = JSON.stringify(json);
  } else if (route.body !== 'none') {
    const { jsonName } = route.body;
    if (json[jsonName] !== undefined) body = JSON.stringify(json[jsonName]);
    delete json[jsonName];
  }
  if (body !== undefined) headers['content-type'] = 'application/json';
  const query = route.body === 'all' ? '' : writeQuery(json);
  return { route, path: query ? `${path}?${query}` : path, headers, body };
}

/** A raw body: the first message says where and on what conditions, all carry content. */
async function encodeUpload(method: Method, requests: AsyncIterable<unknown>, registry: Registry): Promise<Sent> {
  const iterator = requests[Symbol.asyncIterator]();
  const first = await iterator.next();
  if (first.done) throw invalidArgument(`Cannot call ${method.name}: nothing was sent`);
  const head = toMessage(method.input, first.value);
  const { route, path } = chooseRoute(method, head);
  if (typeof route.body !== 'object') throw noRoute(method);
  const field = route.body;
  const contentOf = (message: Message): HttpBody | undefined => getField(message, field) as HttpBody | undefined;
  const json = toJson(method.input, head, { registry }) as JsonObject;
  delete json[field.jsonName];
  for (const { fields } of route.variables) delete json[fields[0]?.jsonName ?? ''];
  const headers: Record<string, string> = { 'content-type': contentOf(head)?.contentType || 'application/octet-stream' };
  if (json['sizeBytes'] !== undefined) headers['content-length'] = String(json['sizeBytes']);
  if (json['ifAbsent'] === true) headers['if-none-match'] = '*';
  if (json['ifEtag']) headers['if-match'] = `"${json['ifEtag']}"`;
  delete json['ifEtag'];
  delete json['sizeBytes'];
  delete json['ifAbsent'];
  const query = writeQuery(json);
  let opening = contentOf(head)?.data;
  const body = new ReadableStream<Uint8Array>({
    pull: async (controller) => {
      const next = opening ? undefined : await iterator.next();
      const data =
        opening ?? (next?.done ? undefined : (contentOf(toMessage(method.input, next?.value))?.data ?? new Uint8Array()));
      opening = undefined;
      if (!data) controller.close();
      else controller.enqueue(data);
    },
    cancel: async () => {
      await iterator.return?.();
    },
  });
  return { route, path: query ? `${path}?${query}` : path, headers, body };
}

/** The first binding whose path the message can fill; one where no variable is empty when there is one. */
function chooseRoute(method: Method, message: Message): { route: RestRoute; path: string } {
  const routes = routesOf(method);
  if (routes.length === 0) throw noRoute(method);
  const texts = (route: RestRoute): Map<string, string> =>
    new Map(route.variables.map(({ variable, fields }) => [variable.field, readText(message, fields)]));
  const isFilled = (route: RestRoute): boolean => [...texts(route).values()].every((text) => text !== '');
  for (const route of [...routes.filter(isFilled), ...routes]) {
    const values = texts(route);
    const path = buildPath(route.template, (field) => values.get(field) ?? '');
    if (path !== undefined) return { route, path };
  }
  const [route] = routes as [RestRoute];
  const named = route.variables.map(({ variable, fields }) => `${variable.field} "${readText(message, fields)}"`).join(', ');
  throw invalidArgument(`Cannot call ${method.name}: ${named} cannot be part of a URL`, {
    reason: 'invalid_parameter',
    hint: 'Names must not be empty, "." or "..".',
  });
}

/** Turns `first_byte`, `length` and `suffix_length` of a download into a `Range` header. */
function takeRange(message: Message, headers: Record<string, string>): Message {
  const wanted = message as Message & { firstByte?: bigint; length?: bigint; suffixLength?: bigint };
  const { firstByte = 0n, length = 0n, suffixLength = 0n } = wanted;
  if (suffixLength > 0n) headers['range'] = `bytes=-${suffixLength}`;
  else if (length > 0n) headers['range'] = `bytes=${firstByte}-${firstByte + length - 1n}`;
  else if (firstByte > 0n) headers['range'] = `bytes=${firstByte}-`;
  return { ...wanted, firstByte: 0n, length: 0n, suffixLength: 0n } as Message;
}

async function* download(response: Response, pieces: AsyncIterable<Uint8Array>): AsyncGenerator<HttpBody, void, undefined> {
  const contentType = response.headers.get('content-type') ?? '';
  const isEmpty = response.status === emptyPart;
  yield create(HttpBodySchema, {
    contentType: isEmpty ? '' : contentType,
    extensions: [anyPack(ContentInfoSchema, contentInfoOf(response.headers))],
  });
  if (isEmpty) await response.body?.cancel();
  else for await (const data of pieces) yield create(HttpBodySchema, { data });
}

function contentInfoOf(headers: Headers): ContentInfo {
  const range = /^bytes (?:(\d+)-(\d+)|\*)\/(\d+)$/.exec(headers.get('content-range') ?? '');
  const length = BigInt(headers.get('content-length') ?? 0);
  const modified = Date.parse(headers.get('last-modified') ?? '');
  return create(ContentInfoSchema, {
    sizeBytes: range ? BigInt(range[3] as string) : length,
    etag: (headers.get('etag') ?? '').replace(/^"(.*)"$/, '$1'),
    ...(Number.isNaN(modified) ? {} : { modifyTime: timestampFromMs(modified) }),
    firstByte: range?.[1] ? BigInt(range[1]) : 0n,
    length: range ? (range[1] ? BigInt(range[2] as string) - BigInt(range[1]) + 1n : 0n) : length,
  });
}

/** The body in pieces; leaving early closes the connection. */
async function* piecesOf(response: Response): AsyncGenerator<Uint8Array, void, undefined> {
  if (!response.body) return;
  const reader = response.body.getReader();
  try {
    while (true) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    // Of a body that failed it rejects with the same failure once more.
    await reader.cancel().catch(() => undefined);
  }
}

/** Lines of text without their ends; empty ones, which only keep a connection open, are left out. */
async function* lines(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const piece of pieces) {
    const parts = (rest + decoder.decode(piece, { stream: true })).split('\n');
    rest = parts.pop() ?? '';
    for (const part of parts) if (part.trim() !== '') yield part;
  }
  if (rest.trim() !== '') yield rest;
}

function inResponse(route: RestRoute, message: Message): Message {
  if (!route.responseField) return message;
  const whole = create(route.method.output);
  setField(whole, route.responseField, message);
  return whole;
}

function decode(desc: DescMessage, json: unknown, registry: Registry): Message {
  // A newer server may say more than this client knows.
  return fromJson(desc, json as JsonValue, { ignoreUnknownFields: true, registry });
}

function toMessage(desc: DescMessage, value: unknown): Message {
  return isMessage(value, desc) ? value : create(desc, value as MessageInitShape<DescMessage>);
}

function noRoute(method: Method): Fault {
  return new Fault(Code.Unimplemented, `Cannot call ${method.name} over HTTP: it has no HTTP binding`);
}

/** What went wrong before an answer came. */
function callFault(error: unknown, baseUrl: string): Fault {
  const fault = Fault.from(error);
  if (fault.code !== Code.Internal) return fault;
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const why = cause instanceof Error ? (reasons[(cause as NodeJS.ErrnoException).code ?? ''] ?? cause.message) : String(cause);
  return unavailable(`Cannot reach ${baseUrl}: ${why}`, {
    reason: 'unreachable',
    hint: 'Check the address, and that the server is running.',
    cause: error,
  });
}

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'the connection was refused',
  ECONNRESET: 'the connection was reset',
  ENOTFOUND: 'there is no host of that name',
  EAI_AGAIN: 'its name cannot be looked up now',
  ETIMEDOUT: 'it does not answer',
  UND_ERR_CONNECT_TIMEOUT: 'it does not answer',
  UND_ERR_SOCKET: 'it closed the connection',
  EHOSTUNREACH: 'there is no way to the host',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is self-signed',
};

/** What went wrong after the answer's head: a fault of the stream, a cut connection, or not our format. */
function brokenAnswer(error: unknown, { route }: Sent, { baseUrl }: Options): Fault {
  if (error instanceof Fault) return error;
  const fault = Fault.from(error);
  if (fault.code !== Code.Internal) return fault;
  if (error instanceof TypeError) {
    return unavailable(`The answer of ${baseUrl} to ${route.method.name} was cut off`, { reason: 'cut_off', cause: error });
  }
  return new Fault(Code.Unknown, `The answer of ${baseUrl} to ${route.method.name} is not what its contract says`, {
    reason: 'foreign_answer',
    hint: 'Check that the address is that of a Cellar server of this version.',
    cause: error,
  });
}

function isRecord(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function parseOr(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
