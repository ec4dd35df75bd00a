import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';

export interface Received {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly id: string;
  readonly type: string;
}

/** A real receiver of webhooks. */
export interface Receiver {
  readonly url: string;
  readonly port: number;
  readonly seen: readonly Received[];
  close(): Promise<void>;
}

/** `answer` gives the status of each request; `silent`: it is never answered. */
export async function startReceiver(
  t: TestContext,
  answer: (request: Received, at: number) => number | 'silent' = () => 200,
  port = 0,
): Promise<Receiver> {
  const seen: Received[] = [];
  const server = createServer(async (request, response) => {
    const body = Buffer.concat(await Array.fromAsync(request)).toString();
    const { type } = JSON.parse(body) as { type: string };
    const received = { headers: request.headers, body, type, id: String(request.headers['webhook-id']) };
    const status = answer(received, seen.push(received) - 1);
    if (status !== 'silent') response.writeHead(status).end('nothing of interest');
  }).listen(port, '127.0.0.1');
  await once(server, 'listening');
  const close = async (): Promise<void> => {
    server.closeAllConnections();
    if (!server.listening) return;
    server.close();
    await once(server, 'close');
  };
  t.after(close);
  const { port: listening } = server.address() as AddressInfo;
  return { seen, close, port: listening, url: `http://127.0.0.1:${listening}/hook` };
}
