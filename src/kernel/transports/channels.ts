import type { Channel } from '../calls/channel.ts';
import { createDirectChannel } from '../calls/direct.ts';
import type { Endpoint } from '../calls/endpoint.ts';
import { failedPrecondition } from '../fault.ts';
import type { Log } from '../log.ts';
import type { Address, Channels, Registry } from '../services/registry.ts';
import type { TlsIdentity } from './ca/tls.ts';
import { createLocalChannel } from './local/channel.ts';

export interface ChannelsOptions {
  /** What runs in this process. */
  readonly endpoint: Endpoint;
  /** Certificate of this machine; absent: other machines cannot be called. */
  readonly tls?: TlsIdentity;
  /** Channels to addresses nobody has any more are closed. */
  readonly registry?: Registry;
  readonly log: Log;
}

/** One channel per address, opened at its first use. Each has a circuit of its own, so a dead peer costs its callers no time. */
export function createChannels({ endpoint, tls, registry, log }: ChannelsOptions): Channels {
  const direct = createDirectChannel(endpoint);
  const channels = new Map<string, Channel>();

  const open = (address: Exclude<Address, { kind: 'direct' }>): Channel => {
    if (address.kind === 'local') return createLocalChannel({ path: address.path, log });
    const { host, port } = address;
    if (!tls) {
      throw failedPrecondition(`Cannot call ${host}:${port}: this process has no certificate for calls to other machines`, {
        hint: 'Let this machine join with a bundle of the first machine.',
      });
    }
    return lazyChannel(`grpc:${host}:${port}`, async () => {
      const { createGrpcChannel } = await import('./grpc/channel.ts');
      return createGrpcChannel({ host, port, tls });
    });
  };

  const unwatch = registry?.watch(() => {
    const wanted = new Set(registry.all.map(({ address }) => keyOf(address)));
    for (const [key, channel] of channels) {
      if (wanted.has(key)) continue;
      channels.delete(key);
      closeQuietly(channel, log);
    }
  });

  return {
    to: (address) => {
      if (address.kind === 'direct') return direct;
      const key = keyOf(address);
      let channel = channels.get(key);
      if (!channel) {
        channel = open(address);
        channels.set(key, channel);
      }
      return channel;
    },
    close: async () => {
      unwatch?.();
      const open = [...channels.values()];
      channels.clear();
      await Promise.all(open.map((channel) => channel.close()));
    },
  };
}

function keyOf(address: Address): string {
  switch (address.kind) {
    case 'direct':
      return 'direct';
    case 'local':
      return `unix:${address.path}`;
    case 'grpc':
      return `grpc:${address.host}:${address.port}`;
  }
}

/** A channel whose code is loaded by its first call, since most processes never call another machine. */
function lazyChannel(address: string, load: () => Promise<Channel>): Channel {
  let loading: Promise<Channel> | undefined;
  const loaded = (): Promise<Channel> => {
    loading ??= load();
    return loading;
  };
  return {
    address,
    unary: async (method, request, outgoing) => (await loaded()).unary(method, request, outgoing),
    async *stream(method, requests, outgoing) {
      yield* (await loaded()).stream(method, requests, outgoing);
    },
    close: async () => (await loaded()).close(),
  };
}

function closeQuietly(channel: Channel, log: Log): void {
  channel.close().catch((error: unknown) => log.warn('a channel did not close', { address: channel.address, error }));
}
