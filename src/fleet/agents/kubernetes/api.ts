import { createInterface } from 'node:readline';
import { PassThrough, Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { HttpMethod, IsomorphicFetchHttpLibrary, type KubeConfig, RequestContext } from '@kubernetes/client-node';
import { Code, Fault } from '#kernel/fault.ts';
import type { Executed } from '../../driver/driver.ts';
import { type Command, execute, type Flow } from './execute.ts';
import type { Manifest } from './manifests.ts';

/** The kinds we speak of, and where they live. Source: Kubernetes API reference, 1.20 to 1.34. */
const groups = {
  Event: '/api/v1',
  Namespace: '/api/v1',
  Node: '/api/v1',
  Pod: '/api/v1',
  PersistentVolumeClaim: '/api/v1',
  ConfigMap: '/api/v1',
  Secret: '/api/v1',
  Service: '/api/v1',
  StatefulSet: '/apis/apps/v1',
  NetworkPolicy: '/apis/networking.k8s.io/v1',
  PodMetrics: '/apis/metrics.k8s.io/v1beta1',
} as const;
export type Kind = keyof typeof groups;

/** What every object has; times are text as the API writes it. */
export interface KubeObject {
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid?: string;
    readonly resourceVersion?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly creationTimestamp?: string;
    readonly deletionTimestamp?: string;
  };
}

export interface KubeList<T> {
  readonly items: readonly T[];
  readonly metadata: { readonly resourceVersion?: string; readonly continue?: string };
}

type Query = Readonly<Record<string, string | number | boolean | undefined>>;

const fieldManager = 'cellar';
const pageSize = 500;
const outputSizeBytesMax = 1024 * 1024;
const bodySizeCharsMax = 2000;

/** What the API answered when it was not what was asked for. */
export class KubeError extends Error {
  readonly status: number;
  readonly reason: string;

  constructor(status: number, reason: string, message: string) {
    super(message);
    this.status = status;
    this.reason = reason;
  }
}

/** The few verbs we need of one cluster's API, each cut off by its signal. Errors: `KubeError`; what the network throws. */
export class KubeApi {
  readonly #config: KubeConfig;
  readonly #server: string;
  readonly #http = new IsomorphicFetchHttpLibrary();

  constructor(config: KubeConfig) {
    this.#config = config;
    this.#server = config.getCurrentCluster()?.server.replace(/\/$/, '') ?? '';
  }

  async get<T>(path: string, signal: AbortSignal, query: Query = {}): Promise<T> {
    const response = await this.#send(HttpMethod.GET, path, query, signal);
    return JSON.parse(await response.text()) as T;
  }

  /** All of a kind, page by page. `namespace` empty: of all namespaces. */
  async list<T extends KubeObject>(kind: Kind, namespace: string, query: Query, signal: AbortSignal): Promise<KubeList<T>> {
    const items: T[] = [];
    let token: string | undefined;
    for (;;) {
      const page: KubeList<T> = await this.get(pathOf(kind, namespace), signal, { limit: pageSize, continue: token, ...query });
      items.push(...page.items);
      token = page.metadata.continue || undefined;
      if (token === undefined) return { items, metadata: page.metadata };
    }
  }

  /** Makes an object be as it is written, whether it was there or not (server-side apply). */
  async apply(manifest: Manifest, signal: AbortSignal): Promise<void> {
    const { kind, metadata } = manifest;
    const path = `${pathOf(kind, metadata.namespace ?? '')}/${encodeURIComponent(metadata.name)}`;
    const body = JSON.stringify(manifest);
    await this.#send(HttpMethod.PATCH, path, { fieldManager, force: true }, signal, body, 'application/apply-patch+yaml');
  }

  /** Changes some fields of an object that is there. */
  async merge(kind: Kind, namespace: string, name: string, change: object, signal: AbortSignal): Promise<void> {
    const path = `${pathOf(kind, namespace)}/${encodeURIComponent(name)}`;
    await this.#send(HttpMethod.PATCH, path, { fieldManager }, signal, JSON.stringify(change), 'application/merge-patch+json');
  }

  /** Removes what was seen, as long as it has not changed since. False: it has. */
  async removeSeen(kind: Kind, { metadata }: KubeObject, signal: AbortSignal): Promise<boolean> {
    const { name, namespace = '', uid, resourceVersion } = metadata;
    const body = JSON.stringify({ kind: 'DeleteOptions', apiVersion: 'v1', preconditions: { uid, resourceVersion } });
    try {
      await this.#send(HttpMethod.DELETE, `${pathOf(kind, namespace)}/${encodeURIComponent(name)}`, {}, signal, body);
    } catch (error) {
      if (error instanceof KubeError && error.status === 409) return false;
      if (!isGone(error)) throw error;
    }
    return true;
  }

  /** False: it is not there. Things go in their own time; it does not wait. */
  async remove(kind: Kind, namespace: string, name: string, query: Query, signal: AbortSignal): Promise<boolean> {
    try {
      await this.#send(HttpMethod.DELETE, `${pathOf(kind, namespace)}/${encodeURIComponent(name)}`, query, signal);
      return true;
    } catch (error) {
      if (isGone(error)) return false;
      throw error;
    }
  }

  /** The lines of an answer that may never end. Ends with the signal, quietly. */
  async *lines(path: string, query: Query, signal: AbortSignal): AsyncGenerator<string> {
    try {
      const response = await this.#send(HttpMethod.GET, path, query, signal);
      const body = response.stream();
      if (!body) return;
      const whole = new PassThrough();
      const flow = pipeline(Readable.fromWeb(body as never), whole, { signal });
      // What goes wrong with the flow is thrown below, where somebody listens.
      const failure = flow.then(
        () => undefined,
        (error: unknown) => error,
      );
      for await (const line of createInterface({ input: whole })) yield line;
      const error = await failure;
      if (error !== undefined) throw error;
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  /** Runs a command in a container, and keeps the last of what it says. Errors: `KubeError` when it could not be run at all. */
  async exec(namespace: string, pod: string, command: readonly string[], signal: AbortSignal): Promise<Executed> {
    const [output, errors] = [keeper(), keeper()];
    const streams = { output: output.stream, errors: errors.stream };
    const exitCode = await execute(this.#config, { namespace, pod, command }, streams, signal);
    return { exitCode, output: output.bytes(), errors: errors.bytes() };
  }

  /** Runs a command whose bytes are passed on as they come, see `execute`. Result: its exit code, and the last of its errors. */
  async stream(
    command: Command,
    flow: Omit<Flow, 'errors'>,
    signal: AbortSignal,
  ): Promise<{ readonly exitCode: number; readonly errors: string }> {
    const errors = keeper();
    const exitCode = await execute(this.#config, command, { ...flow, errors: errors.stream }, signal);
    return { exitCode, errors: Buffer.from(errors.bytes()).toString().trim() };
  }

  async #send(method: HttpMethod, path: string, query: Query, signal: AbortSignal, body?: string, type?: string) {
    const url = new URL(this.#server + path);
    for (const [name, value] of Object.entries(query)) if (value !== undefined) url.searchParams.set(name, String(value));
    const request = new RequestContext(url.toString(), method);
    request.setHeaderParam('accept', 'application/json');
    if (body !== undefined) {
      request.setBody(body);
      request.setHeaderParam('content-type', type ?? 'application/json');
    }
    await this.#config.applySecurityAuthentication(request);
    request.setSignal(signal);
    const response = await this.#http.send(request).toPromise();
    if (response.httpStatusCode < 300) return response.body;
    throw refusal(response.httpStatusCode, await response.body.text());
  }
}

/** Of the only container of each of our pods. */
export const containerName = 'member';

export function pathOf(kind: Kind, namespace: string): string {
  const plural = kind === 'NetworkPolicy' ? 'networkpolicies' : kind === 'PodMetrics' ? 'pods' : `${kind.toLowerCase()}s`;
  return `${groups[kind]}${namespace === '' ? '' : `/namespaces/${encodeURIComponent(namespace)}`}/${plural}`;
}

export const isGone = (error: unknown): boolean => error instanceof KubeError && error.status === 404;

/** What it says, as far as it is worth reading. */
function refusal(status: number, body: string): KubeError {
  try {
    const { reason = '', message = body } = JSON.parse(body) as { reason?: string; message?: string };
    return new KubeError(status, reason, message);
  } catch {
    return new KubeError(status, '', body.slice(0, bodySizeCharsMax)); // A gateway before it answered, not the API.
  }
}

/** The last of what is written. */
function keeper(): { readonly stream: PassThrough; bytes(): Uint8Array } {
  let kept = Buffer.alloc(0);
  const stream = new PassThrough();
  stream.on('data', (bytes: Buffer) => {
    kept = Buffer.concat([kept, bytes]).subarray(-outputSizeBytesMax);
  });
  return { stream, bytes: () => Buffer.concat([kept, (stream.read() as Buffer | null) ?? Buffer.alloc(0)]) };
}

/** What the cluster answered, or did not, in our words. */
export function kubeFault(error: unknown): unknown {
  if (error instanceof Fault) return error;
  const { message } = error instanceof Error ? error : new Error(String(error));
  const failed = (text: string, reason: string, hint?: string): Fault =>
    new Fault(Code.FailedPrecondition, `${text}: ${message}`, { reason, cause: error, ...(hint ? { hint } : {}) });
  if (!(error instanceof KubeError)) {
    const { cause } = Object(error) as { readonly cause?: unknown };
    const why = cause instanceof Error && cause.message !== '' ? cause.message : message;
    return new Fault(Code.Unavailable, `The Kubernetes API does not answer: ${why}`, {
      reason: 'engine_unreachable',
      hint: 'See that the context of the kubeconfig names the right cluster, and that it is reached from here.',
      cause: error,
    });
  }
  if (/port is already allocated/.test(message)) return failed('A port is taken in the cluster', 'port_taken');
  if (/port is not in the valid range/.test(message)) {
    const hint = 'Give the host ports of that range: cellar hosts update NAME --ports 30000-32767.';
    return failed('Kubernetes publishes ports of a certain range only', 'ports_invalid', hint);
  }
  if (/exceeded quota|must specify limits/.test(message)) return failed('A quota of the cluster is used up', 'quota_exceeded');
  if (error.status === 401)
    return new Fault(Code.Unauthenticated, `The Kubernetes API refuses us: ${message}`, {
      reason: 'credentials_refused',
      cause: error,
    });
  if (error.status === 403)
    return failed('We may not do that', 'permission_missing', 'Bind the role of docs/fleet.md to the account of the kubeconfig.');
  return new Fault(Code.Internal, `The Kubernetes API answered ${error.status}: ${message}`, {
    reason: 'engine_failed',
    cause: error,
  });
}

/** Runs calls of an API; whatever they reject with is a `Fault`, but for the caller's own signal. */
export async function asking<T>(signal: AbortSignal, timeoutMs: number, task: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const patience = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
  try {
    return await task(patience);
  } catch (error) {
    signal.throwIfAborted();
    if (patience.aborted && !(error instanceof Fault)) throw kubeFault(new Error(`it took longer than ${timeoutMs / 1000} s`));
    throw kubeFault(error);
  }
}
