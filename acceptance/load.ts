import type { Product } from './harness.ts';

type Signed = (method: string, path: string, body?: string) => Promise<Response>;

/** A request that was not answered with success. */
export interface Refusal {
  readonly request: string;
  readonly status: number;
  readonly contentType: string;
  readonly text: string;
  readonly tookMs: number;
}

/** Clients that write and read until stopped. */
export interface Load {
  /** Content of what was acknowledged, by path with the datasource. */
  readonly acknowledged: ReadonlyMap<string, string>;
  readonly refusals: readonly Refusal[];
  /** Answered with success so far, by request without its last part, such as `S3 PUT`. */
  readonly successes: ReadonlyMap<string, number>;
  /** Longest time to an answer, good or bad, by request. Unit: milliseconds. */
  readonly slowestMs: ReadonlyMap<string, number>;
  stop(): Promise<void>;
}

/** One client each: writes by S3 to `docs`, reads by S3 from there, writes by REST to `media`, lists by REST. */
export function startLoad(product: Product, s3: Signed): Load {
  const acknowledged = new Map<string, string>();
  const refusals: Refusal[] = [];
  const successes = new Map<string, number>();
  const slowestMs = new Map<string, number>();
  let isOver = false;

  async function ask(request: string, send: () => Promise<Response>): Promise<boolean> {
    const start = performance.now();
    const answer = await send().catch((error: unknown) => error as Error);
    const text = answer instanceof Response ? await answer.text() : `${answer.message}: ${String(answer.cause)}`;
    const tookMs = Math.round(performance.now() - start);
    slowestMs.set(request, Math.max(tookMs, slowestMs.get(request) ?? 0));
    if (answer instanceof Response && answer.ok) {
      successes.set(request, (successes.get(request) ?? 0) + 1);
      return true;
    }
    const isAnswered = answer instanceof Response;
    const contentType = (isAnswered && answer.headers.get('content-type')) || '';
    refusals.push({ request, status: isAnswered ? answer.status : 0, contentType, text, tookMs });
    // A refused client tries again after a moment, as real ones do.
    await new Promise((done) => setTimeout(done, 25));
    return false;
  }

  async function write(request: string, folder: string, send: (path: string, content: string) => Promise<Response>) {
    for (let at = 0; !isOver; at++) {
      const path = `${folder}/${at}.txt`;
      const content = `${path} ${Date.now()}`;
      if (await ask(request, () => send(path, content))) acknowledged.set(path, content);
    }
  }

  async function read(request: string, send: () => Promise<Response>): Promise<void> {
    while (!isOver) await ask(request, send);
  }

  const clients = [
    write('S3 PUT', 'docs/by-s3', (path, content) => s3('PUT', `/${path}`, content)),
    write('REST PUT', 'media/by-rest', (path, body) => product.rest('PUT', `/api/v1/content/${path}`, { body })),
    read('S3 GET', () => s3('GET', '/docs?list-type=2&max-keys=5')),
    read('REST GET', () => product.rest('GET', '/api/v1/tree/docs:list?pageSize=5')),
  ];
  return {
    acknowledged,
    refusals,
    successes,
    slowestMs,
    async stop() {
      isOver = true;
      await Promise.all(clients);
    },
  };
}
