import { openDatabase } from '#kernel/database/open.ts';
import { Code, Fault } from '#kernel/fault.ts';
import { openLiveConfig } from '#kernel/live-config/live-config.ts';
import type { Log } from '#kernel/log.ts';
import { databaseUrl } from '#kernel/process/surroundings.ts';
import type { LiveSettings } from '#kernel/settings/live-settings.ts';
import { pause } from '#lib/pause.ts';
import type { Undo } from './undo.ts';

export interface FollowStoredOptions {
  readonly signal: AbortSignal;
  /** How long to wait for the database: after a power cut machines come up in any order. */
  readonly patienceMs: number;
  readonly log: Log;
  readonly undo: Undo;
}

/** Adds the stored settings and follows their changes. Errors: those of the database. */
export async function followStored(
  home: string,
  live: LiveSettings,
  { signal, patienceMs, log, undo }: FollowStoredOptions,
): Promise<void> {
  const name = 'cellar.grpc.settings';
  const database = openDatabase({ url: databaseUrl(home, live.settings, name), name, log, durable: true });
  undo.push(() => database.close());
  const stopping = new AbortController();
  const endMs = Date.now() + patienceMs;
  while (true) {
    try {
      await live.follow(await openLiveConfig({ database }), stopping.signal, log);
      undo.push(() => stopping.abort());
      return;
    } catch (error) {
      if (!(error instanceof Fault) || error.code !== Code.Unavailable || Date.now() > endMs) throw error;
      log.warn('waiting for the database of the settings', { reason: error.message });
      await pause(1000, signal);
    }
  }
}
