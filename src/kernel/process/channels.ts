import type { Endpoint } from '../calls/endpoint.ts';
import type { Log } from '../log.ts';
import type { Channels, Registry } from '../services/registry.ts';
import type { TlsIdentity } from '../transports/ca/tls.ts';
import { createChannels } from '../transports/channels.ts';
import { serveLocal } from '../transports/local/server.ts';

export interface ProcessChannelsOptions {
  readonly endpoint: Endpoint;
  /** Path of the Unix socket other processes reach this one by. */
  readonly path: string;
  readonly registry: Registry;
  /** Certificate of this machine, when there are others. */
  readonly tls: TlsIdentity | undefined;
  readonly log: Log;
}

/** Serves this process's endpoint on its socket and opens ways to other processes. */
export async function createProcessChannels({ endpoint, path, registry, tls, log }: ProcessChannelsOptions): Promise<Channels> {
  const server = await serveLocal(endpoint, { path, log });
  const channels = createChannels({ endpoint, registry, log, ...(tls ? { tls } : {}) });
  return {
    to: (address) => channels.to(address),
    close: async () => {
      await channels.close();
      await server.close(AbortSignal.timeout(1000));
    },
  };
}
