import type { Micro } from '#kernel/services/service.ts';
import type { SettingsOf } from '#kernel/settings/setting.ts';
import type { Stream } from '#kernel/streams/streams.ts';
import { rest } from '#lib/rest.ts';
import type { BucketSettings } from '#s3/bucket-settings.ts';
import type { LocalBackend } from '../logic/folder-backend.ts';
import type { settings } from '../settings.ts';
import type { ObjectStore } from '../store/store.ts';
import { runLifecycle } from './lifecycle.ts';
import { createNotifications } from './notifications.ts';

export interface ProcessorsParts {
  readonly backend: LocalBackend;
  readonly store: ObjectStore;
  /** Our own changes. */
  readonly stream: Stream;
}

export interface Processors {
  /** To be called when settings of a bucket were changed, before that is acknowledged. */
  refresh(): Promise<void>;
  /** Resolves when all have ended, which the service's signal asks them to. */
  readonly ended: Promise<void>;
}

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const webhookTimeoutMs = 10_000;

/** Starts what a service for folders does by itself: lifecycle rules, uploads that nobody goes on with, notifications. */
export async function startProcessors(
  micro: Micro<SettingsOf<typeof settings>>,
  { backend, store, stream }: ProcessorsParts,
): Promise<Processors> {
  const { log, metrics, signal, settings: values } = micro;
  const now = (): number => micro.clock.now();
  const allSettings = async (): Promise<ReadonlyMap<string, BucketSettings>> =>
    new Map((await store.buckets()).map(({ bucket, settings: own }) => [bucket, own]));

  const outcomes = Object.fromEntries(
    (['told', 'failed', 'given_up'] as const).map((outcome) => [
      outcome,
      metrics.counter('cellar_objects_notifications_total', 'Attempts to tell receivers of notifications.', { outcome }),
    ]),
  );
  const notifications = await createNotifications({
    ...{ stream, database: micro.database, allSettings, log, now },
    webhook: () => ({
      secret: values.webhookSecret.reveal(),
      isPrivateAllowed: values.webhooksToPrivate,
      timeoutMs: webhookTimeoutMs,
      now,
    }),
    observe: (outcome) => outcomes[outcome]?.add(),
  });

  const expired = metrics.counter('cellar_objects_expired_total', 'Objects and versions that lifecycle rules removed.');
  const lifecycle = runLifecycle(
    {
      ...{ backend, allSettings, log, now },
      dayMs: () => values.lifecycleDaySeconds * 1000,
      everyMs: () => values.lifecycleSeconds * 1000,
      leases: await micro.leases(),
      leaseName: `${micro.name}.lifecycle`,
      holder: micro.name,
      observe: (report) => {
        expired.add(report.expired + report.deleted);
        log.debug('lifecycle rules were followed', { ...report });
      },
    },
    signal,
  );

  async function tidyUploads(): Promise<void> {
    while (!signal.aborted) {
      try {
        const count = await backend.expireUploads({ staleMs: values.staleUploadDays * dayMs, completedMs: dayMs, signal });
        if (count > 0) log.info('uploads that nobody went on with were given up', { count });
      } catch (error) {
        if (!signal.aborted) log.warn('old uploads could not be removed', { error });
      }
      await rest(hourMs, signal);
    }
  }

  /** A pass a day, the first one when the start is long over: nobody waits for it. */
  async function collectRows(): Promise<void> {
    for (await rest(hourMs, signal); !signal.aborted; await rest(dayMs, signal)) {
      try {
        const count = await backend.collect({ graceMs: 2 * dayMs, pauseMs: 50, signal });
        if (count > 0) log.info('rows of files that are gone were removed', { count });
      } catch (error) {
        if (!signal.aborted) log.warn('rows of files that are gone could not be removed', { error });
      }
    }
  }

  const ended = Promise.all([notifications.run(signal), lifecycle, tidyUploads(), collectRows()]).then(() => undefined);
  // Awaited at the stop; a loop that ended by an error would be a fault of the program.
  ended.catch((error: unknown) => log.error('a part of objects has ended', { error }));
  return { refresh: () => notifications.refresh(), ended };
}
