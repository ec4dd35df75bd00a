import { Index } from '#gen/cellar/data/v1/index_pb.ts';
import { Sync } from '#gen/cellar/data/v1/sync_pb.ts';
import { implement } from '#kernel/calls/dispatcher.ts';
import type { Micro, Running } from '#kernel/services/service.ts';
import type { SettingsOf } from '#kernel/settings/setting.ts';
import type { DatasourcePlan } from '../plan.ts';
import { assertFolder } from './logic/assert-folder.ts';
import { Keeper } from './logic/keeper.ts';
import { createFolderWatches } from './processors/folder-watches.ts';
import { createFullPasses } from './processors/full-passes.ts';
import { createNotifications } from './processors/notifications.ts';
import { followObjectChanges } from './processors/object-changes.ts';
import { createSyncController } from './rpc/sync-controller.ts';
import type { settings } from './settings.ts';

/** Without notifications, changes by others are looked for this often at least. Unit: milliseconds. */
const blindPassMs = 60_000;

export async function createServer(micro: Micro<SettingsOf<typeof settings>>): Promise<Running> {
  const { log, signal } = micro;
  const plan = micro.plan as DatasourcePlan;
  const index = micro.client(Index, { service: `cellar.grpc.data.index.${plan.datasource}` });
  const source = await micro.followStream(plan.objectsService, 'changes');
  let watchLimit = '';
  const watches = createFolderWatches({
    root: plan.folder,
    onChange: (path, isContent) => notifications.changed(path, isContent),
    onOverflow: () => passes.request(),
    onLimit: (reason) => {
      watchLimit = reason;
      log.warn('changes by other programs are not seen at once', { reason });
    },
  });
  const keeper = new Keeper({ root: plan.folder, index, watches, limits: micro.settings, log, signal });
  const notifications = createNotifications({ keeper, onFlood: () => passes.request(), log, signal });
  const passes = createFullPasses({
    keeper,
    everyMs: () => micro.settings.fullPassMinutes * 60_000 || (watchLimit === '' ? 0 : blindPassMs),
    log,
    signal,
    now: () => micro.clock.now(),
  });
  const loops = Promise.all([
    notifications.run(),
    passes.loop(),
    followObjectChanges({
      source,
      bucket: plan.datasource,
      keeper,
      covered: async () => Number((await index.getPosition({})).sourcePosition),
      fullPass: async (passSignal) => void (await passes.run({ signal: passSignal })),
      log,
      signal,
    }),
  ]);
  // Awaited at the stop; a loop that ended by an error would be a fault of the program.
  loops.catch((error: unknown) => log.error('a part of sync has ended', { error }));
  return {
    bindings: [implement(Sync, createSyncController({ keeper, passes, index, watchLimit: () => watchLimit }))],
    check: () => assertFolder(plan.folder),
    stop: async () => {
      await loops;
      watches.clear();
    },
  };
}
