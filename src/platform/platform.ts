import type { Log } from '#kernel/log.ts';
import type { ForkStats } from '#kernel/process/supervisor.ts';
import type { LiveSettings } from '#kernel/settings/live-settings.ts';

/** What the platform's own services may do with the process that runs them. */
export interface Platform {
  readonly home: string;
  readonly log: Log;
  readonly settings: LiveSettings;
  /** Memory and processor use of the process an instance runs in. */
  stats(service: string): ForkStats;
  /** Instance part of a full name, such as `docs`; empty for services without instances. */
  instance(service: string): string;
  /** What a service is for. */
  description(service: string): string;
  /** Address people reach a service at; empty for those without. */
  url(service: string): string;
  /** Restarts an instance in order; resolves when it is ready again. Errors: `not_found`; `unavailable` when it does not come back. */
  restart(service: string, signal: AbortSignal): Promise<void>;
}
