import { Index } from '#gen/cellar/data/v1/index_pb.ts';
import { Objects } from '#gen/cellar/data/v1/objects_pb.ts';
import { Sync } from '#gen/cellar/data/v1/sync_pb.ts';
import { implement } from '#kernel/calls/dispatcher.ts';
import type { Micro, Running } from '#kernel/services/service.ts';
import type { SettingsOf } from '#kernel/settings/setting.ts';
import type { DatasourcePlan } from '../plan.ts';
import { exactVolume } from '../volume.ts';
import { assertFolder } from './logic/assert-folder.ts';
import { Disk } from './logic/disk.ts';
import { Keeper } from './logic/keeper.ts';
import { liveVolume } from './logic/live-volume.ts';
import { DiskMounts } from './logic/mounts.ts';
import { createPausing } from './logic/pausing.ts';
import { Remote } from './logic/remote.ts';
import { createRemoteHints } from './logic/remote-hints.ts';
import { noWatches } from './logic/watches.ts';
import { createFolderWatches } from './processors/folder-watches.ts';
import { createFullPasses } from './processors/full-passes.ts';
import { createNotifications } from './processors/notifications.ts';
import { followObjectChanges } from './processors/object-changes.ts';
import { createOwnChanges } from './processors/own-changes.ts';
import { createSyncController } from './rpc/sync-controller.ts';
import type { settings } from './settings.ts';
import { createSyncStore } from './store/store.ts';

/** A listing names a thousand objects, and looking at one costs two: beyond some hundreds a pass is cheaper. */
const remoteFlood = { waitingMax: 1000, batchMax: 200, areFoldersNew: false };

/** Without notifications, changes by others are looked for this often at least. Unit: milliseconds. */
const blindPassMs = 60_000;

export async function createServer(micro: Micro<SettingsOf<typeof settings>>): Promise<Running> {
  const { log, signal } = micro;
  const plan = micro.plan as DatasourcePlan;
  const { kind = 'folder', folder: root } = plan;
  const index = micro.client(Index, { service: `cellar.grpc.data.index.${plan.datasource}` });
  const source = await micro.followStream(plan.objectsService, 'changes');
  const store = createSyncStore(micro.database);
  const isRemote = kind === 'remote';
  const { volume, refresh } = isRemote ? { volume: exactVolume, refresh: () => undefined } : liveVolume(root);
  const mounts = new DiskMounts({
    root,
    known: await store.mounts(),
    onChange: (paths) => {
      store.setMounts(paths).catch((error: unknown) => log.warn('mount points are not kept over a restart', { error }));
    },
  });
  const pausing = await createPausing({
    store,
    now: () => micro.clock.now(),
    onResume: () => {
      notifications.forget();
      passes.request();
    },
  });
  const isPaused = (): boolean => pausing.current !== undefined;
  let watchLimit = '';
  const watches = createFolderWatches({
    ...{ root, kind, volume },
    onChange: (path, isContent) => notifications.changed(path, isContent),
    onOverflow: () => passes.request(),
    onLimit: (reason) => {
      watchLimit = reason;
      log.warn('changes by other programs are not seen at once', { reason });
    },
  });
  const storage = isRemote
    ? new Remote({ objects: micro.client(Objects, { service: plan.objectsService }), bucket: plan.datasource })
    : new Disk({ root, kind, volume, mounts, onPass: refresh });
  const keeper = new Keeper({
    subject: { datasource: plan.datasource, place: storage.place },
    storage,
    ...{ index, watches: isRemote ? noWatches : watches, limits: micro.settings, isPaused, log, signal },
    onFresh: (path) => {
      // What is listed elsewhere is whole.
      if (!isRemote) notifications.changed(path, true);
    },
  });
  const ownChanges = createOwnChanges({ head: (headSignal) => source.head(headSignal), signal });
  const notifications = createNotifications({
    ...{ keeper, isPaused, log, signal },
    whenTold: () => ownChanges.whenTold(),
    onFlood: (folder) => passes.request(folder),
    ...(isRemote ? { ...remoteFlood, isCovered: (path) => !keeper.blocked && passes.isRequested(path) } : {}),
  });
  const remoteHints = await createRemoteHints({
    ...{ plan, store, metrics: micro.metrics },
    now: () => micro.clock.now(),
    changed: (path) => notifications.changed(path, false),
  });
  const passes = createFullPasses({
    ...{ keeper, pausing, log, signal },
    everyMs: () => {
      const { fullPassMinutes, remotePassMinutes } = micro.settings;
      if (isRemote) return remotePassMinutes * 60_000;
      return fullPassMinutes * 60_000 || (watchLimit === '' ? 0 : blindPassMs);
    },
    now: () => micro.clock.now(),
  });
  const loops = Promise.all([
    notifications.run(),
    passes.loop(),
    followObjectChanges({
      ...{ source, plan, keeper, log, signal },
      onReached: (position) => ownChanges.reached(position),
      covered: async () => Number((await index.getPosition({})).sourcePosition),
      fullPass: (passSignal) => passes.runWhenResumed(passSignal),
    }),
  ]);
  // Awaited at the stop; a loop that ended by an error would be a fault of the program.
  loops.catch((error: unknown) => log.error('a part of sync has ended', { error }));
  const controller = createSyncController({
    ...{ keeper, passes, pausing, index, volume },
    head: (headSignal) => source.head(headSignal),
    waiting: () => notifications.waiting,
    watchLimit: () => (isRemote ? remoteHints.limit : watchLimit),
    remoteHints,
  });
  return {
    bindings: [implement(Sync, controller)],
    // Whether another server answers is told by the objects service.
    check: async () => (isRemote ? undefined : assertFolder(root)),
    stop: async () => {
      await loops;
      watches.clear();
    },
  };
}
