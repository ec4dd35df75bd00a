import { setMaxListeners } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

const bySocket = new WeakMap<Socket, AbortSignal>();

/**
 * Aborts when the client of a request goes away, and perhaps later, when it has its answer.
 *
 * With HTTP/1.1 a client leaves with its connection: one signal serves all requests of it. With HTTP/2 each request has its own.
 */
export function leavingSignal(request: IncomingMessage, response: ServerResponse): AbortSignal {
  if (request.httpVersionMajor >= 2) return signalOf((abort) => response.once('close', abort));
  const { socket } = request;
  const known = bySocket.get(socket);
  if (known) return known;
  const signal = signalOf((abort) => socket.once('close', abort));
  // Requests sent without waiting for answers all listen to it.
  setMaxListeners(0, signal);
  bySocket.set(socket, signal);
  return signal;
}

function signalOf(subscribe: (abort: () => void) => void): AbortSignal {
  const controller = new AbortController();
  subscribe(() => controller.abort());
  return controller.signal;
}
