import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { create, type DescService, type Message, ScalarType } from '@bufbuild/protobuf';
import { Role } from '#gen/cellar/kernel/v1/options_pb.ts';
import { type HttpBody, HttpBodySchema } from '#gen/google/api/httpbody_pb.ts';
import type { Caller } from '../calls/caller.ts';
import type { CallOptions, Client } from '../calls/client.ts';
import { type Method, readContract } from '../calls/contract.ts';
import { Trace } from '../calls/trace.ts';
import { Code, Fault, invalidArgument, notFound } from '../fault.ts';
import type { Log } from '../log.ts';
import { sendProblem } from './answer.ts';
import { bodySizeBytes, readJsonBody, readPieces, tooLarge } from './body.ts';
import { hasPart, sendContent, withPart } from './content-answer.ts';
import { endTogether } from './end-together.ts';
import { getField, setField } from './field-text.ts';
import { JsonCodecs, type ReadJson, registryOf, type WriteJson, zeroOf } from './json.ts';
import { leavingSignal } from './leaving.ts';
import { HttpFault, statusOf } from './problem.ts';
import { compileQuery, type ReadQuery } from './query.ts';
import { type MessageField, type RestRoute, routesOf } from './route.ts';
import { Router } from './router.ts';
import { sendStream } from './stream-answer.ts';
import { readVariable } from './template.ts';

export interface TranscoderOptions {
  /** Methods with an HTTP binding are served, the others are not reachable. */
  readonly contracts: readonly DescService[];
  /** The way to whoever serves a contract. */
  readonly client: <D extends DescService>(desc: D) => Client<D>;
  /** Who calls, and that they may. Errors: `unauthenticated`, `permission_denied`. A plain value when it is known at once. */
  readonly admit: (method: Method, request: IncomingMessage) => Caller | Promise<Caller>;
  readonly log: Log;
  /** Of a JSON body. Unit: bytes. */
  readonly bodySizeBytesMax?: number;
  /** Of a raw body. Unit: bytes. */
  readonly uploadSizeBytesMax?: number;
  /** Unit: milliseconds. */
  readonly keepAliveMs?: number;
  /** Sent with every answer, such as `x-content-type-options`. */
  readonly headers?: Readonly<Record<string, string>>;
  /** More headers for the answer of a method, by its name, such as a session's cookie. */
  readonly answerHeaders?: Readonly<
    Record<string, (answer: Message, request: IncomingMessage) => Readonly<Record<string, string>>>
  >;
  /** Called once after every request, when its answer is out. */
  readonly observe?: (record: RestRecord) => void;
}

export interface RestRecord {
  /** Undefined when no route was found. */
  readonly method: Method | undefined;
  readonly status: number;
  /** Unit: milliseconds. */
  readonly durationMs: number;
  readonly trace: Trace;
  readonly fault: Fault | undefined;
}

/** Answers a request; never rejects. For servers with a `checkContinue` listener call `continueOnRead` first. */
export type Transcoder = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

/** A route with everything compiled that serving it needs. */
interface Served extends RestRoute {
  readonly call: (request: unknown, options: CallOptions) => unknown;
  /** An empty request message. */
  readonly make: () => Message;
  readonly readQuery: ReadQuery;
  readonly readBody: ReadJson;
  readonly write: WriteJson;
  readonly answerHeaders: ((answer: Message, request: IncomingMessage) => Readonly<Record<string, string>>) | undefined;
  readonly canRange: boolean;
}

/** One request on its way. */
interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly trace: Trace;
  readonly message: Message;
  readonly callOptions: CallOptions;
}

const timeoutMsMax = 24 * 3600 * 1000;
/** Of a method that anybody may call: strangers are not given much to parse. */
const openBodySizeBytesMax = 64 * 1024;

/**
 * Serves contracts as REST by their `google.api.http` options: JSON in and out, server streams as NDJSON or server-sent events,
 * `google.api.HttpBody` as raw bodies, faults as problems (RFC 9457).
 */
export function createTranscoder(options: TranscoderOptions): Transcoder {
  const {
    bodySizeBytesMax = 4 * 1024 * 1024,
    uploadSizeBytesMax = Number.MAX_SAFE_INTEGER,
    keepAliveMs = 15_000,
    headers: common = {},
    log,
  } = options;
  const router = buildRouter(options);
  const commonList = Object.entries(common).flat();

  return async (request, response) => {
    const startMs = performance.now();
    const trace = Trace.parse(request.headers['traceparent'] as string | undefined);
    let method: Method | undefined;
    let fault: Fault | undefined;
    try {
      const url = request.url ?? '/';
      const mark = url.indexOf('?');
      const { served, raw } = find(router, request, mark < 0 ? url : url.slice(0, mark));
      method = served.method;
      const admitted = options.admit(method, request);
      const caller = admitted instanceof Promise ? await admitted : admitted;
      await serve(served, raw, mark < 0 ? '' : url.slice(mark + 1), caller, request, response, trace);
    } catch (error) {
      fault = toFault(error, trace, log, method);
      await sendProblem(request, response, fault, trace, common);
    }
    const status = fault && !response.headersSent ? statusOf(fault) : response.statusCode;
    options.observe?.({ method, status, durationMs: performance.now() - startMs, trace, fault });
  };

  async function serve(
    served: Served,
    raw: readonly string[],
    query: string,
    caller: Caller,
    request: IncomingMessage,
    response: ServerResponse,
    trace: Trace,
  ): Promise<void> {
    const sizeBytesMax = served.method.roles.has(Role.ANYONE)
      ? Math.min(bodySizeBytesMax, openBodySizeBytesMax)
      : bodySizeBytesMax;
    const body = served.body === 'none' || served.isUpload ? undefined : await readJsonBody(request, sizeBytesMax);
    const message = buildMessage(served, raw, query, body);
    const leaving = leavingSignal(request, response);
    const exchange: Exchange = { request, response, trace, message, callOptions: callOptionsOf(request, caller, trace, leaving) };
    try {
      if (served.method.kind === 'server_streaming') {
        if (served.isDownload) await answerContent(served, exchange);
        else await answerStream(served, exchange);
      } else {
        const answer = served.isUpload
          ? await upload(served, exchange)
          : await (served.call(message, exchange.callOptions) as Promise<Message>);
        answerUnary(served, exchange, answer);
      }
    } catch (error) {
      // What a client that left makes the call fail with is of no interest to anybody.
      throw leaving.aborted ? new Fault(Code.Canceled, 'The client went away', { cause: error }) : error;
    }
  }

  function headersOf(trace: Trace): OutgoingHttpHeaders {
    return { ...common, traceparent: trace.toString() };
  }

  function answerUnary(served: Served, { request, response, trace }: Exchange, answer: Message): void {
    const part = served.responseField ? partOf(served.responseField, answer) : answer;
    // Names and values in turn: the form that Node writes as it is.
    const headers = [...commonList, 'traceparent', trace.toString()];
    if (served.answerHeaders) headers.push(...Object.entries(served.answerHeaders(answer, request)).flat());
    if (served.isDownload) {
      const { contentType, data } = part as HttpBody;
      headers.push('content-type', contentType || 'application/octet-stream', 'content-length', String(data.length));
      endTogether(response.writeHead(200, headers), data);
      return;
    }
    const text = served.write(part);
    const length = String(Buffer.byteLength(text));
    headers.push('content-type', 'application/json', 'cache-control', 'no-store', 'content-length', length);
    endTogether(response.writeHead(200, headers), text);
  }

  async function answerStream(served: Served, { request, response, trace, message, callOptions }: Exchange): Promise<void> {
    const ended = new AbortController();
    const signal = AbortSignal.any([callOptions.signal, ended.signal].filter((one) => one !== undefined));
    resume(served.method, request, message);
    const answers = served.call(message, { ...callOptions, signal }) as AsyncIterable<Message>;
    const { responseField } = served;
    const idOf = positionOf(responseField?.message.field ?? served.method.output.field);
    await sendStream(request, response, responseField ? parts(responseField, answers) : answers, {
      headers: headersOf(trace),
      trace,
      keepAliveMs,
      write: served.write,
      idOf,
      assertStillMay: () => options.admit(served.method, request),
      end: () => ended.abort(),
    });
  }

  async function answerContent(served: Served, { request, response, trace, message, callOptions }: Exchange): Promise<void> {
    await sendContent(request, response, served.canRange, headersOf(trace), (part) => {
      const answers = served.call(withPart(message, part), callOptions) as AsyncIterable<Message>;
      return (served.responseField ? parts(served.responseField, answers) : answers) as AsyncIterable<HttpBody>;
    });
  }

  async function upload(served: Served, { request, message, callOptions }: Exchange): Promise<Message> {
    const sizeBytes = bodySizeBytes(request);
    if (sizeBytes !== undefined && sizeBytes > uploadSizeBytesMax) throw tooLarge(uploadSizeBytesMax);
    const isConditional = applyConditions(served.method, message, request, sizeBytes);
    const field = served.body as MessageField;
    const contentType = request.headers['content-type'] ?? '';
    try {
      if (served.method.kind === 'client_streaming') {
        return await (served.call(
          uploadMessages(message, field, contentType, request, uploadSizeBytesMax),
          callOptions,
        ) as Promise<Message>);
      }
      const pieces = await Array.fromAsync(readPieces(request, bodySizeBytesMax));
      setField(message, field, create(HttpBodySchema, { contentType, data: Buffer.concat(pieces) }));
      return await (served.call(message, callOptions) as Promise<Message>);
    } catch (error) {
      const isRefused = error instanceof Fault && (error.code === Code.AlreadyExists || error.reason === 'etag_mismatch');
      if (isConditional && isRefused) throw new HttpFault(412, error);
      throw error;
    }
  }
}

function buildRouter(options: TranscoderOptions): Router<Served> {
  const codecs = new JsonCodecs(registryOf(options.contracts));
  const router = new Router<Served>();
  for (const desc of options.contracts) {
    const client = options.client(desc) as unknown as Record<string, Served['call']>;
    for (const method of readContract(desc).methods) {
      for (const route of routesOf(method)) {
        const served: Served = {
          ...route,
          call: client[method.desc.localName] as Served['call'],
          make: zeroOf(method.input),
          readQuery: compileQuery(route),
          readBody: codecs.reader(typeof route.body === 'object' ? route.body.message : method.input),
          write: codecs.writer(route.responseField?.message ?? method.output),
          answerHeaders: options.answerHeaders?.[method.name],
          canRange: route.isDownload && hasPart(method.input),
        };
        router.add(route.httpMethod, route.template, served);
      }
    }
  }
  return router;
}

function find(router: Router<Served>, request: IncomingMessage, path: string): { served: Served; raw: readonly string[] } {
  const isHead = request.method === 'HEAD';
  const found = router.find(isHead ? 'GET' : (request.method ?? 'GET'), path);
  if (found && !(isHead && found.value.method.kind === 'server_streaming' && !found.value.isDownload))
    return { served: found.value, raw: found.raw };
  const allowed = router.methodsAt(path);
  const shown = path.length > 200 ? `${path.slice(0, 200)}…` : path;
  if (allowed.length === 0)
    throw notFound(`There is nothing at ${shown}`, { reason: 'no_such_route', hint: 'GET /api lists everything there is.' });
  const fault = new Fault(Code.Unimplemented, `${shown} cannot be asked with ${request.method}`, {
    reason: 'method_not_allowed',
    hint: `Use ${allowed.join(' or ')}.`,
  });
  throw new HttpFault(405, fault, { allow: allowed.join(', ') });
}

function buildMessage(served: Served, raw: readonly string[], query: string, body: unknown): Message {
  let message: Message;
  if (served.body === 'all') {
    message = served.readBody(body === undefined ? {} : body);
  } else {
    message = served.make();
    if (body !== undefined && served.body !== 'none') setField(message, served.body, served.readBody(body));
  }
  for (const { variable, set } of served.variables) {
    const text = readVariable(served.template, variable, raw);
    if (text === undefined) {
      const why = 'is not percent-encoded UTF-8, or has an empty, "." or ".." segment, or a slash (%2F) within one';
      throw invalidArgument(`The part of the path for "${variable.field}" ${why}`, {
        reason: 'invalid_path',
        violations: [{ field: variable.field, message: why }],
      });
    }
    set(message, text);
  }
  if (query !== '') served.readQuery(message, query);
  return message;
}

function callOptionsOf({ headers }: IncomingMessage, caller: Caller, trace: Trace, signal: AbortSignal): CallOptions {
  const idempotencyKey = headers['idempotency-key'] as string | undefined;
  const timeout = headers['cellar-timeout-ms'] as string | undefined;
  if (idempotencyKey === undefined && timeout === undefined) return { caller, trace, signal };
  const timeoutMs = timeout === undefined ? undefined : Number(timeout);
  if (timeoutMs !== undefined && (!Number.isInteger(timeoutMs) || timeoutMs < 1 || timeoutMs > timeoutMsMax)) {
    throw invalidArgument(`The header "cellar-timeout-ms" must be a whole number from 1 to ${timeoutMsMax}`, {
      reason: 'invalid_header',
    });
  }
  if (idempotencyKey !== undefined && (idempotencyKey === '' || idempotencyKey.length > 200)) {
    throw invalidArgument('The header "idempotency-key" must be 1 to 200 characters long', { reason: 'invalid_header' });
  }
  return {
    caller,
    trace,
    signal,
    ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  };
}

/** Puts `Content-Length`, `If-None-Match: *` and `If-Match` into the fields of an upload that are meant for them; true when there is a condition. */
function applyConditions(method: Method, message: Message, { headers }: IncomingMessage, sizeBytes: number | undefined): boolean {
  const { sizeBytes: sizeField, ifAbsent, ifEtag } = method.input.field;
  if (sizeField && sizeBytes !== undefined) setField(message, sizeField, BigInt(sizeBytes));
  const ifNoneMatch = headers['if-none-match'];
  const ifMatch = headers['if-match'];
  const refuse = (name: string): Fault =>
    new Fault(Code.Unimplemented, `The condition "${name}" is not supported here`, { reason: 'condition_not_supported' });
  if (ifNoneMatch !== undefined) {
    if (!ifAbsent || ifNoneMatch.trim() !== '*') throw refuse('if-none-match');
    setField(message, ifAbsent, true);
  }
  if (ifMatch !== undefined) {
    const tag = /^"([^"]*)"$/.exec(ifMatch.trim());
    if (!ifEtag || !tag) throw refuse('if-match');
    setField(message, ifEtag, tag[1]);
  }
  return ifNoneMatch !== undefined || ifMatch !== undefined;
}

async function* uploadMessages(
  head: Message,
  field: MessageField,
  contentType: string,
  request: IncomingMessage,
  sizeBytesMax: number,
): AsyncGenerator<Message, void, undefined> {
  // Where and how comes before the first byte: a refusal costs the client as little as can be.
  setField(head, field, create(HttpBodySchema, { contentType }));
  yield head;
  const { $typeName } = head;
  const desc = field.parent;
  if (desc.typeName !== $typeName) throw new Error(`An upload of ${$typeName} has its content elsewhere`);
  for await (const data of readPieces(request, sizeBytesMax)) {
    const message = create(desc);
    setField(message, field, create(HttpBodySchema, { data }));
    yield message;
  }
}

async function* parts(field: MessageField, answers: AsyncIterable<Message>): AsyncGenerator<Message, void, undefined> {
  for await (const answer of answers) yield partOf(field, answer);
}

function partOf(field: MessageField, answer: Message): Message {
  return (getField(answer, field) as Message | undefined) ?? create(field.message);
}

/**
 * Who was cut off says what it has heard last, and the stream goes on after that: `Last-Event-ID` counts instead of the field `after`.
 * Source: HTML, "Server-sent events". A header that is no number is left alone.
 */
function resume({ input }: Method, { headers }: IncomingMessage, message: Message): void {
  const last = headers['last-event-id'];
  const field = input.field['after'];
  if (typeof last !== 'string' || !/^\d{1,18}$/.test(last)) return;
  if (field?.fieldKind === 'scalar' && field.scalar === ScalarType.UINT64) setField(message, field, BigInt(last));
}

/** Streams of events number them: that is their id. */
function positionOf(fields: Readonly<Record<string, unknown>>): (message: Message) => string | undefined {
  if (!('position' in fields)) return () => undefined;
  return (message) => String((message as Message & { position?: bigint }).position ?? '');
}

function toFault(error: unknown, trace: Trace, log: Log, method: Method | undefined): Fault {
  if (error instanceof Fault) return error;
  const fault = Fault.from(error);
  if (fault.code !== Code.Internal) return fault;
  log.error('a request failed unexpectedly', { method: method?.name, trace: trace.traceId, error });
  return new Fault(Code.Internal, `Internal error; the gateway's log has it under trace ${trace.traceId}`, { cause: error });
}
