import type { ServerResponse } from 'node:http';

let waiting: { readonly response: ServerResponse; readonly body: string | Uint8Array }[] = [];

/**
 * Ends an answer together with the others of this turn of the event loop, back to back. Written one by one as they are made, each
 * write wakes a client that has gone back to sleep meanwhile, which under load costs more than the call itself; an answer that is alone
 * goes out in the same turn all the same.
 */
export function endTogether(response: ServerResponse, body: string | Uint8Array): void {
  if (waiting.length === 0) setImmediate(endAll);
  waiting.push({ response, body });
}

function endAll(): void {
  const all = waiting;
  waiting = [];
  // A client that has gone meanwhile is no error: ending a destroyed response does nothing.
  for (const { response, body } of all) response.end(body);
}
