import type { ServerResponse } from 'node:http';
import { type Registry, ServiceState } from '#kernel/services/registry.ts';

/** Answers 200 when every service is ready, else 503; with `isOpen` it names them. */
export function answerReady(
  response: ServerResponse,
  registry: Registry,
  headers: Record<string, string>,
  isOpen: boolean,
): void {
  const services = registry.all.map(({ service, state, reason }) => ({ service, state, ...(reason ? { reason } : {}) }));
  const ready = services.filter(({ state }) => state === ServiceState.Ready).length;
  const isReady = ready === services.length;
  const body = { status: isReady ? 'ready' : 'not_ready', ready, total: services.length, ...(isOpen ? { services } : {}) };
  answerJson(response, isReady ? 200 : 503, headers, body);
}

export function answerJson(response: ServerResponse, status: number, headers: Record<string, string>, body: unknown): void {
  const text = `${JSON.stringify(body)}\n`;
  response.writeHead(status, {
    ...headers,
    'content-type': 'application/json',
    'cache-control': 'no-store',
    'content-length': Buffer.byteLength(text),
  });
  response.end(text);
}
