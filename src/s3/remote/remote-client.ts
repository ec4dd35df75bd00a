import { createHash } from 'node:crypto';
import { Agent, type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest, Agent as SecureAgent } from 'node:https';
import { Fault, unavailable } from '#kernel/fault.ts';
import { backoffMs } from '#lib/backoff.ts';
import { pause } from '#lib/pause.ts';
import { unsignedPayload } from '#lib/sigv4.ts';
import { signHeaders } from '#lib/sigv4-signer.ts';
import { uriEncode } from '#lib/uri-encode.ts';
import { type RemoteProblem, remoteFault, shownBody } from './remote-fault.ts';

export interface RemoteAccount {
  /** Such as `https://s3.example.org`, without a path. */
  readonly endpoint: string;
  readonly region: string;
  readonly accessKey: string;
  /** Asked for every request: it may change. Errors: a `Fault` that says why there is none. */
  readonly secretKey: () => Promise<string>;
}

/** A body that can be sent once. */
export interface RemoteStream {
  readonly bytes: AsyncIterable<Uint8Array>;
  readonly sizeBytes: number;
  /** Called when all but the last piece was sent: what it throws keeps the other server from storing anything. */
  readonly verify: () => Promise<unknown>;
}

export interface RemoteRequest {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';
  readonly bucket: string;
  readonly key?: string;
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  readonly headers?: Readonly<Record<string, string | undefined>>;
  readonly body?: Uint8Array | RemoteStream;
  /** False: it must not be done twice. Default: true, for all that is not streamed. */
  readonly isRepeatable?: boolean;
  /** How long the answer may take to begin after all was sent. Unit: milliseconds. */
  readonly answerMsMax?: number;
}

export interface RemoteClientOptions {
  readonly account: RemoteAccount;
  /** Aborts what is under way. */
  readonly signal: AbortSignal;
  readonly now?: () => number;
  /** Between attempts. */
  readonly backoff?: { readonly firstMs: number; readonly maxMs: number };
}

const attemptsMax = 4;
/** Silence of a connection that is in use. Unit: milliseconds. */
const silenceMsMax = 60_000;
const answerMsDefault = 60_000;
const textBytesMax = 16 * 1024 * 1024;

/**
 * Asks another S3 server, by path-style addresses and signature version 4.
 *
 * Our own signer and XML reader over Node's HTTP: a general SDK would cost each process 33 MiB and 150 ms, and those built on `fetch` lose
 * keys such as `a/../b`, which URLs normalise away.
 */
export class RemoteClient {
  readonly #options: RemoteClientOptions;
  readonly #url: URL;
  readonly #agent: Agent;

  constructor(options: RemoteClientOptions) {
    this.#options = options;
    this.#url = new URL(options.account.endpoint);
    const pool = { keepAlive: true, maxSockets: 64, maxFreeSockets: 16, timeout: silenceMsMax };
    this.#agent = this.#url.protocol === 'https:' ? new SecureAgent(pool) : new Agent(pool);
  }

  close(): void {
    this.#agent.destroy();
  }

  /**
   * The answer, once its head is there; its body must be read or destroyed. Repeats what can be repeated, waiting in between.
   * Errors: `unavailable` when the server cannot be reached or does not let us in; else what its error means for a `Backend`. What a stream
   * throws is thrown as it is.
   */
  async send(request: RemoteRequest): Promise<IncomingMessage> {
    const isStream = request.body !== undefined && !(request.body instanceof Uint8Array);
    const attempts = request.isRepeatable === false || isStream ? 1 : attemptsMax;
    const { signal, backoff = { firstMs: 200, maxMs: 5000 } } = this.#options;
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#once(request);
      } catch (error) {
        // What is wrong with a body is its sender's to know, in the words of whoever reads it.
        if (isStream && !(error instanceof Fault)) throw error;
        const fault = Fault.from(error);
        if (!fault.isRetryable || fault.reason === 'remote_credentials' || attempt >= attempts || signal.aborted) throw fault;
        await pause(fault.retryAfterMs ?? backoffMs(backoff, attempt), signal);
      }
    }
  }

  /** The answer's body as text. Errors: as of `send`. */
  async text(request: RemoteRequest): Promise<string> {
    const answer = await this.send(request);
    return await readText(answer, request, this.#options.account.endpoint);
  }

  /** The answer's headers, for requests whose answers have nothing else to say. */
  async headers(request: RemoteRequest): Promise<IncomingMessage['headers']> {
    const answer = await this.send(request);
    answer.resume();
    return answer.headers;
  }

  async #once(asked: RemoteRequest): Promise<IncomingMessage> {
    const request = await this.#open(asked);
    const { body, answerMsMax = answerMsDefault } = asked;
    const answered = Promise.withResolvers<IncomingMessage>();
    // Awaited below, or of no interest any more.
    answered.promise.catch(() => undefined);
    request.once('response', answered.resolve);
    request.once('error', (cause) => answered.reject(this.#unreachable(asked, cause)));
    request.setTimeout(silenceMsMax, () => request.destroy(new Error('it was silent for too long')));
    try {
      if (body === undefined || body instanceof Uint8Array) request.end(body);
      else await sendStream(request, body, answered.promise);
    } catch (error) {
      request.destroy();
      throw error;
    }
    const late = setTimeout(() => request.destroy(new Error('its answer took too long')), answerMsMax);
    try {
      const answer = await answered.promise;
      const { statusCode = 0 } = answer;
      if (statusCode >= 200 && statusCode < 300) return answer;
      throw remoteFault(await this.#problem(asked, answer));
    } finally {
      clearTimeout(late);
    }
  }

  async #open({ method, bucket, key, query = {}, headers = {}, body }: RemoteRequest): Promise<ClientRequest> {
    const { account, now = Date.now, signal } = this.#options;
    const { accessKey, region } = account;
    const path = key === undefined ? `/${bucket}` : `/${bucket}/${key}`;
    const pairs = Object.entries(query).flatMap(([name, value]): [string, string][] =>
      value === undefined ? [] : [[name, String(value)]],
    );
    const all = new Map([['host', this.#url.host]]);
    for (const [name, value] of Object.entries(headers)) if (value !== undefined) all.set(name, value);
    const isBytes = body === undefined || body instanceof Uint8Array;
    const sizeBytes = isBytes ? (body?.length ?? 0) : body.sizeBytes;
    if (body !== undefined || method === 'PUT' || method === 'POST') all.set('content-length', String(sizeBytes));
    const payload = isBytes
      ? createHash('sha256')
          .update(body ?? '')
          .digest('hex')
      : unsignedPayload;
    const credentials = { accessKey, secretKey: await account.secretKey(), region };
    const signed = signHeaders({ method, path, query: pairs, headers: all }, payload, credentials, now());
    const text = pairs.map(([name, value]) => `${uriEncode(name)}=${uriEncode(value)}`).join('&');
    return (this.#url.protocol === 'https:' ? httpsRequest : httpRequest)({
      agent: this.#agent,
      hostname: this.#url.hostname,
      ...(this.#url.port === '' ? {} : { port: this.#url.port }),
      method,
      path: uriEncode(path, true) + (text === '' ? '' : `?${text}`),
      headers: { ...Object.fromEntries(all), ...signed },
      signal,
    });
  }

  async #problem(request: RemoteRequest, answer: IncomingMessage): Promise<RemoteProblem> {
    const { endpoint } = this.#options.account;
    const body = request.method === 'HEAD' ? '' : await readText(answer, request, endpoint);
    if (request.method === 'HEAD') answer.resume();
    const { bucket, key = '' } = request;
    return { endpoint, bucket, key, status: answer.statusCode ?? 0, headers: answer.headers, ...shownBody(body) };
  }

  #unreachable({ bucket }: RemoteRequest, cause: Error): Fault {
    const { endpoint } = this.#options.account;
    return unavailable(`Cannot reach bucket "${bucket}" of ${endpoint}: ${cause.message}`, {
      reason: 'remote_unreachable',
      hint: 'Check that the server runs and that this machine may reach it.',
      cause,
    });
  }
}

/** The last piece is held back until the whole was found good. Ends early when the answer is there already: it is a refusal then. */
async function sendStream(request: ClientRequest, { bytes, verify }: RemoteStream, answered: Promise<unknown>): Promise<void> {
  let isAnswered = false;
  const noted = answered.then(
    () => {
      isAnswered = true;
    },
    () => {
      isAnswered = true;
    },
  );
  let held: Uint8Array | undefined;
  for await (const piece of bytes) {
    if (isAnswered) return;
    if (held && !request.write(held)) {
      await Promise.race([new Promise<void>((resolve) => request.once('drain', resolve)), noted]);
    }
    // What was read may be written over by its owner once the next piece is asked for.
    held = Uint8Array.from(piece);
  }
  await verify();
  request.end(held);
}

async function readText(answer: IncomingMessage, { bucket }: RemoteRequest, endpoint: string): Promise<string> {
  const pieces: Buffer[] = [];
  let sizeBytes = 0;
  try {
    for await (const piece of answer as AsyncIterable<Buffer>) {
      sizeBytes += piece.length;
      if (sizeBytes > textBytesMax) throw new Error('its answer is too long');
      pieces.push(piece);
    }
  } catch (cause) {
    throw unavailable(`Cannot read what ${endpoint} says of bucket "${bucket}": ${(cause as Error).message}`, {
      reason: 'remote_unreachable',
      cause,
    });
  }
  return Buffer.concat(pieces).toString('utf8');
}
