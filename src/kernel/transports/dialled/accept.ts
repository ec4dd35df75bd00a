import { once } from 'node:events';
import type { Socket } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import type { Channel } from '../../calls/channel.ts';
import { Fault, failedPrecondition, unauthenticated, unavailable } from '../../fault.ts';
import type { Log } from '../../log.ts';
import type { TlsIdentity, TlsMaterial } from '../ca/tls.ts';
import { channelOver } from '../local/channel.ts';
import { ClientConnection, sayGoAway } from '../local/client-connection.ts';
import { FrameWriter, greeting } from '../local/frames.ts';
import { type DialledLimits, dialledLimits } from './limits.ts';

/** Who has dialled, as its certificate says. */
export interface Peer {
  /** The subject's common name. */
  readonly name: string;
  /** SHA-256 of the certificate, as `X509Certificate.fingerprint256`. */
  readonly fingerprint: string;
  /** When the certificate ends. Unit: milliseconds since 1970. */
  readonly expireMs: number;
  /** Network address and port it came from. */
  readonly address: string;
}

/** A connection that was dialled by the side that serves: this side calls over it. */
export interface Dialled {
  readonly peer: Peer;
  /** Its calls fail as `unavailable` once the connection has ended. */
  readonly channel: Channel;
  /** Resolves with the reason when the connection has ended. */
  readonly ended: Promise<Fault>;
  /** Ends the connection and all calls over it; the other side is told why. */
  goAway(fault: Fault): void;
}

export interface AcceptOptions {
  readonly host: string;
  readonly port: number;
  /** Only who has a certificate of its CA is asked further. */
  readonly tls: TlsIdentity;
  readonly log: Log;
  /** Called for each connection after the handshake. Throws the fault with which it is refused. */
  readonly admit: (peer: Peer) => Promise<void>;
  /** Called once for each connection that was admitted and speaks the protocol. */
  readonly onDialled: (dialled: Dialled) => void;
  readonly limits?: Partial<DialledLimits>;
}

export interface Acceptor {
  readonly port: number;
  /** Ends those connections of a peer that `isMeant` says, also those that are just being made. */
  drop(isMeant: (peer: Peer) => boolean, fault: Fault): void;
  close(): Promise<void>;
}

/**
 * Listens for those that dial in to be called; see `keepDialled`.
 * Errors: `failed_precondition` when it cannot listen there.
 */
export async function acceptDialled(options: AcceptOptions): Promise<Acceptor> {
  const { host, port, tls, log } = options;
  const limits = { ...dialledLimits, ...options.limits };
  const open = new Map<Peer, (fault: Fault) => void>();
  /** Those in the middle of their handshake, too. */
  const sockets = new Set<Socket>();
  const stopping = unavailable('The platform is stopping', { reason: 'stopping', retryAfterMs: 500 });
  let isClosed = false;
  const server = createServer(
    // Whoever has no good certificate is refused by `assertKnown`, so that both sides can say why.
    { ...secure(tls.material), requestCert: true, rejectUnauthorized: false, handshakeTimeout: limits.dialMsMax },
    (socket) => {
      socket.on('error', () => undefined);
      void take(socket, limits, open, {
        ...options,
        async admit(peer) {
          // A handshake may end after the last look at those that are open.
          if (isClosed) throw stopping;
          await options.admit(peer);
        },
      });
    },
  );
  const unwatch = tls.watch((material) => server.setSecureContext(secure(material)));
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  server.maxConnections = limits.connectionsMax;
  server.on('drop', () => log.warn('a connection was refused: there are too many', { connectionsMax: limits.connectionsMax }));
  server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) =>
    log.info('a connection was refused', { from: socket.remoteAddress, code: error.code, why: error.message }),
  );
  server.listen(port, host);
  try {
    await once(server, 'listening');
  } catch (cause) {
    unwatch();
    throw failedPrecondition(`Cannot listen on ${host}:${port} (${String((cause as NodeJS.ErrnoException).code)})`, {
      cause,
      hint: 'Does another program listen there, and is the address one of this machine?',
    });
  }
  const bound = server.address();
  const drop: Acceptor['drop'] = (isMeant, fault) => {
    for (const [peer, end] of [...open]) if (isMeant(peer)) end(fault);
  };
  // A connection lasts no longer than the certificate it was made with.
  const expire = (): void => drop(({ expireMs }) => expireMs < Date.now(), refused('it has expired'));
  const expiring = setInterval(expire, 60_000).unref();
  return {
    port: bound !== null && typeof bound === 'object' ? bound.port : port,
    drop,
    close: async () => {
      unwatch();
      clearInterval(expiring);
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      isClosed = true;
      drop(() => true, stopping);
      // Who does not read why is not waited for.
      const patience = setTimeout(() => {
        for (const socket of sockets) socket.destroy();
      }, 1000);
      await closed;
      clearTimeout(patience);
    },
  };
}

async function take(
  socket: TLSSocket,
  limits: DialledLimits,
  open: Map<Peer, (fault: Fault) => void>,
  { admit, onDialled, log }: AcceptOptions,
): Promise<void> {
  const peer = peerOf(socket);
  // Among those that can be dropped before it is asked whether it is welcome, so that nobody slips through in between.
  let refusal: Fault | undefined;
  open.set(peer, (fault) => {
    refusal ??= fault;
  });
  try {
    assertKnown(socket, peer);
    await admit(peer);
  } catch (error) {
    refusal ??= Fault.from(error);
  }
  if (refusal || socket.destroyed) {
    open.delete(peer);
    if (refusal) {
      log.warn('a connection was refused', { from: peer.address, name: peer.name, reason: refusal.reason, why: refusal.message });
      const writer = new FrameWriter((chunks) => {
        for (const chunk of chunks) socket.write(chunk);
      });
      socket.write(greeting(limits.frameBytesMax));
      sayGoAway(socket, writer, refusal);
    }
    return;
  }
  socket.setNoDelay(true);
  const ended = Promise.withResolvers<Fault>();
  const connection: ClientConnection = new ClientConnection({
    ...{ socket, address: `${peer.name} (${peer.address})`, limits, log, isWatched: true },
    onOpen: () => onDialled({ peer, channel, ended: ended.promise, goAway }),
    onClose: (fault) => {
      open.delete(peer);
      ended.resolve(fault);
    },
  });
  const goAway = (fault: Fault): void => connection.goAway(fault);
  const channel = channelOver(
    () => {
      if (connection.isClosed) throw unavailable(`The connection of ${peer.name} has ended`, { reason: 'connection_lost' });
      return connection;
    },
    `dialled:${peer.name}`,
    async () => goAway(unavailable('The other side has hung up', { reason: 'closed' })),
  );
  open.set(peer, goAway);
}

function secure({ ca, cert, key }: TlsMaterial) {
  return { ca, cert, key, minVersion: 'TLSv1.3' } as const;
}

/** What the certificate says, which is worth nothing before `assertKnown`. */
function peerOf(socket: TLSSocket): Peer {
  const certificate = socket.getPeerX509Certificate();
  const expireMs = certificate?.validToDate.getTime() ?? 0;
  const name = /^CN=([^\n]+)$/.exec(certificate?.subject ?? '')?.[1] ?? '';
  return {
    name,
    fingerprint: certificate?.fingerprint256 ?? '',
    expireMs,
    address: `${socket.remoteAddress}:${socket.remotePort}`,
  };
}

function assertKnown({ authorized, authorizationError }: TLSSocket, { name, fingerprint }: Peer): void {
  if (authorized && name !== '' && fingerprint !== '') return;
  // Typed as an error, it is the error's code.
  const code = String(authorizationError ?? 'UNNAMED');
  const why = code === 'CERT_HAS_EXPIRED' ? 'it has expired' : `it is not one that this platform has issued for that (${code})`;
  throw refused(why);
}

const refused = (why: string): Fault =>
  unauthenticated(`The platform does not take the certificate of this side: ${why}`, {
    reason: 'certificate_refused',
    hint: 'Enrol again and use the new bundle.',
  });
