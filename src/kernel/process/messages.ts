import type { MetricFamily } from '../metrics.ts';
import type { Registration } from '../services/registry.ts';
import type { Given } from '../settings/resolve.ts';
import type { Need } from './instances.ts';
import type { RemoteAddresses } from './surroundings.ts';

/** What the main process tells a fork, over the IPC channel. */
export type ToFork =
  | {
      readonly kind: 'init';
      readonly home: string;
      readonly machine: string;
      /** Full name of the instance to run. */
      readonly name: string;
      readonly plan: unknown;
      /** What it waits for before it starts. */
      readonly needs: readonly Need[];
      /** What is given of the settings it may know, secrets in clear: the channel is a private socket pair. */
      readonly settings: readonly Given[];
      readonly registry: readonly Registration[];
      readonly restarts: number;
    }
  | { readonly kind: 'registry'; readonly registration: Registration }
  | { readonly kind: 'gone'; readonly service: string }
  /** A new plan that the instance takes over while it runs. */
  | { readonly kind: 'plan'; readonly plan: unknown }
  | { readonly kind: 'settings'; readonly settings: readonly Given[] }
  | { readonly kind: 'metrics'; readonly id: number }
  | { readonly kind: 'stop'; readonly timeoutMs: number };

/** What a fork tells the main process. */
export type FromFork =
  /** Its first words: it is listening to messages now. */
  | { readonly kind: 'hello' }
  /** `remote`: as other machines reach it. */
  | { readonly kind: 'registry'; readonly registration: Registration; readonly remote: RemoteAddresses | undefined }
  | { readonly kind: 'heartbeat'; readonly memoryBytes: number; readonly cpuPercent: number }
  | { readonly kind: 'failed'; readonly reason: string }
  | { readonly kind: 'metrics'; readonly id: number; readonly families: readonly MetricFamily[] };
