import type { Registration } from '../services/registry.ts';

/** What the main process tells a fork, over the IPC channel. */
export type ToFork =
  | {
      readonly kind: 'init';
      readonly home: string;
      readonly machine: string;
      /** Full name of the instance to run. */
      readonly name: string;
      readonly plan: unknown;
      /** Values by key, secrets in clear: the channel is a private socket pair. */
      readonly settings: Readonly<Record<string, unknown>>;
      readonly registry: readonly Registration[];
      readonly restarts: number;
    }
  | { readonly kind: 'registry'; readonly registration: Registration }
  | { readonly kind: 'gone'; readonly service: string }
  | { readonly kind: 'settings'; readonly settings: Readonly<Record<string, unknown>> }
  | { readonly kind: 'metrics'; readonly id: number }
  | { readonly kind: 'stop'; readonly timeoutMs: number };

/** What a fork tells the main process. */
export type FromFork =
  /** Its first words: it is listening to messages now. */
  | { readonly kind: 'hello' }
  | { readonly kind: 'registry'; readonly registration: Registration }
  | { readonly kind: 'heartbeat'; readonly memoryBytes: number }
  | { readonly kind: 'failed'; readonly reason: string }
  | { readonly kind: 'metrics'; readonly id: number; readonly families: unknown };
