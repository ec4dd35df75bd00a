import type { Channel } from '../calls/channel.ts';
import { createDirectChannel } from '../calls/direct.ts';
import type { Endpoint } from '../calls/endpoint.ts';
import { unavailable } from '../fault.ts';
import type { Log } from '../log.ts';
import type { Channels } from '../services/registry.ts';
import { createLocalChannel } from '../transports/local/channel.ts';
import { serveLocal } from '../transports/local/server.ts';

export interface ProcessChannelsOptions {
  readonly endpoint: Endpoint;
  /** Path of the Unix socket other processes reach this one by. */
  readonly path: string;
  readonly log: Log;
}

/** Serves this process's endpoint on its socket and opens ways to other processes: one channel per address, kept until closed. */
export async function createProcessChannels({ endpoint, path, log }: ProcessChannelsOptions): Promise<Channels> {
  const direct = createDirectChannel(endpoint);
  const server = await serveLocal(endpoint, { path, log });
  const local = new Map<string, Channel>();
  return {
    to: (address) => {
      if (address.kind === 'direct') return direct;
      if (address.kind !== 'local') throw unavailable('Cannot reach another machine: this process has no way to it');
      let channel = local.get(address.path);
      if (!channel) {
        channel = createLocalChannel({ path: address.path, log });
        local.set(address.path, channel);
      }
      return channel;
    },
    close: async () => {
      await Promise.all([...local.values()].map((channel) => channel.close()));
      await server.close(AbortSignal.timeout(1000));
    },
  };
}
