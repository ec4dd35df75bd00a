import type { IncomingMessage } from 'node:http';

/** Who is at the other end of a request: the network address, without port, and whether the way there is encrypted. */
export interface Client {
  readonly address: string;
  readonly isSecure: boolean;
  /** Of a request whose host begins with a name that is part of what it asks for, such as a bucket's: what follows that name. */
  readonly baseDomain?: string;
}

const told = new WeakMap<IncomingMessage, Client>();

/** Says who the client is where the socket does not: behind a proxy, or behind our own gateway. Only for those who know. */
export function tellClient(request: IncomingMessage, client: Client): void {
  told.set(request, client);
}

/** What was told, else what the socket shows. Headers of the request are never believed here. */
export function clientOf(request: IncomingMessage): Client {
  return (
    told.get(request) ?? { address: plainAddress(request.socket.remoteAddress ?? ''), isSecure: 'encrypted' in request.socket }
  );
}

/** An IPv4 address as such, also where the socket speaks IPv6. */
const plainAddress = (address: string): string => (address.startsWith('::ffff:') ? address.slice(7) : address);

/** As one header between processes. */
export const formatClient = ({ address, isSecure, baseDomain = '' }: Client): string =>
  // A proxy may have put anything where the address is expected.
  `${address.replace(/[^0-9A-Za-z:.%-]/g, '')} ${isSecure ? 'secure' : 'plain'} ${baseDomain}`;

export function parseClient(text: string): Client | undefined {
  const match = /^(\S*) (secure|plain) ?(\S*)$/.exec(text);
  if (!match) return undefined;
  const [, address = '', way, baseDomain = ''] = match;
  return { address, isSecure: way === 'secure', ...(baseDomain === '' ? {} : { baseDomain }) };
}
