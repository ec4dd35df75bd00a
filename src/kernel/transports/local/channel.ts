import { connect } from 'node:net';
import type { Message } from '@bufbuild/protobuf';
import type { Channel } from '../../calls/channel.ts';
import { type Fault, unavailable } from '../../fault.ts';
import { type Log, silentLog } from '../../log.ts';
import { Circuit } from '../circuit.ts';
import { ClientConnection } from './client-connection.ts';
import { type LocalLimits, localLimits } from './limits.ts';

export interface LocalChannelOptions {
  /** Path of the server's Unix socket. */
  readonly path: string;
  readonly log?: Log;
  readonly limits?: Partial<LocalLimits>;
}

/**
 * The way to the services of another process of this machine. Connects at the first call, and again at the first call after the
 * connection was lost; while that fails calls end `unavailable` at once.
 */
export function createLocalChannel({ path, log = silentLog, limits }: LocalChannelOptions): Channel {
  const address = `unix:${path}`;
  const circuit = new Circuit();
  let connection: ClientConnection | undefined;
  let closed: Fault | undefined;

  const open = (): ClientConnection => {
    if (connection && !connection.isClosed) return connection;
    const fault = closed ?? circuit.fault();
    if (fault) throw fault;
    connection = new ClientConnection({
      socket: connect(path),
      address,
      log,
      limits: { ...localLimits, ...limits },
      onOpen: () => circuit.succeeded(),
      onClose: (why, isReached) => {
        if (isReached) log.debug('a connection has ended', { address, why: why.message });
        else circuit.failed(why);
      },
    });
    return connection;
  };

  return channelOver(open, address, async () => {
    closed ??= unavailable(`Cannot call ${address}: its channel is closed`, { reason: 'closed' });
    connection?.close(closed);
  });
}

/** Calls over the connection that `open` gives. Errors: those of `open`, too. */
export function channelOver(open: () => ClientConnection, address: string, close: Channel['close']): Channel {
  const unary: Channel['unary'] = async (method, request, outgoing) => open().unary(method, request, outgoing);
  return {
    address,
    unary,
    stream: (method, requests, outgoing) => {
      if (method.kind === 'unary') return once(() => unary(method, requests as Message, outgoing));
      return { [Symbol.asyncIterator]: () => open().stream(method, requests, outgoing) };
    },
    close,
  };
}

async function* once(call: () => Promise<Message>): AsyncGenerator<Message, void, undefined> {
  yield await call();
}
