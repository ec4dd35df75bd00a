import { Objects } from '#gen/cellar/data/v1/objects_pb.ts';
import { anybody } from '#kernel/calls/caller.ts';
import { implement } from '#kernel/calls/dispatcher.ts';
import { Code, Fault } from '#kernel/fault.ts';
import { createGuard, type Guard } from '#kernel/guard/guard.ts';
import type { Micro, Running } from '#kernel/services/service.ts';
import type { SettingsOf } from '#kernel/settings/setting.ts';
import { serveStreams } from '#kernel/streams/remote.ts';
import { keepTrimmed } from '#kernel/streams/trim.ts';
import { createS3Handler } from '#s3/handler.ts';
import { userOfCaller } from '#s3/user-of-caller.ts';
import type { DatasourcePlan, ObjectsPlan } from '../plan.ts';
import type { FolderBackend } from './logic/folder-backend.ts';
import { s3Access } from './logic/s3-access.ts';
import { recordS3 } from './logic/s3-records.ts';
import { openBackend } from './open-backend.ts';
import { withOtherBuckets } from './other-buckets.ts';
import { startProcessors } from './processors/start-processors.ts';
import { changeEvent } from './rpc/change-event.ts';
import { createObjectsController } from './rpc/objects-controller.ts';
import { toldByCaller } from './rpc/told-by-caller.ts';
import type { settings } from './settings.ts';
import { rememberRows } from './store/remember-rows.ts';
import { createSqlObjectStore } from './store/sql.ts';

const dayMs = 86_400_000;

export interface ObjectsServerParts {
  readonly guard?: Pick<Guard, 'keySecret' | 'findUser' | 'assertAllowed' | 'verdict' | 'knownVerdict'>;
}

export async function createServer(micro: Micro<SettingsOf<typeof settings>>, parts: ObjectsServerParts = {}): Promise<Running> {
  const { database, log, signal } = micro;
  const plan = micro.plan as ObjectsPlan;
  const guard = parts.guard ?? createGuard(micro);
  const stream = await micro.openStream('changes');
  const store = rememberRows(createSqlObjectStore(database));
  const { backend: opened, local } = await openBackend(
    micro,
    async (change) => {
      // Made here: a shared transaction does not know who is acting.
      const event = changeEvent(change);
      await database.transaction((tx) => stream.append(tx, [event]), { group: true });
    },
    { store },
  );
  micro.watchPlan((next) => local?.declare((next as ObjectsPlan).buckets));
  try {
    await opened.sweep();
  } catch (error) {
    log.warn('what killed writes left behind could not be removed', { error });
  }
  // Syncs that fall behind further than this make a full pass instead.
  void keepTrimmed(stream, { ageMsMax: 2 * dayMs, countMax: 500_000 }, log, signal);
  const processors = local && (await startProcessors(micro, { backend: local, store, stream }));
  const backend: FolderBackend = {
    ...withOtherBuckets(opened, micro),
    async changeBucketSettings(bucket, change) {
      await opened.changeBucketSettings(bucket, change);
      await processors?.refresh();
    },
  };
  const http = createS3Handler({
    backend,
    authenticate: (accessKey) => guard.keySecret(accessKey),
    user: userOfCaller,
    allowsSignatureV2: micro.settings.allowsSignatureV2,
    users: {
      byId: async (id) => {
        const found = await guard.findUser(id);
        return found && { id: found.id, displayName: found.name };
      },
    },
    verdict: (caller = anybody, operation, bucket, key, isDeep) => {
      const { action, resource, extent } = s3Access(operation, bucket, key, isDeep, plan.bucketsOf);
      return guard.knownVerdict(caller, action, resource, extent) ?? guard.verdict(caller, action, resource, extent);
    },
    observe: recordS3(micro),
    log,
    now: () => micro.clock.now(),
  });
  return {
    bindings: [
      implement(
        Objects,
        toldByCaller(
          createObjectsController({
            backend,
            hasFiles: plan.parent !== '',
            position: (callSignal) => stream.head(callSignal),
            isVisible: async (caller, bucket, callSignal) => {
              const { action, resource } = s3Access('HeadBucket', bucket, undefined, false, plan.bucketsOf);
              return guard.assertAllowed(caller, action, resource, callSignal).then(() => true, deniedOnly);
            },
            isTaken: (bucket) => {
              const other = micro.registry.get(`cellar.grpc.data.index.${bucket}`)?.plan as DatasourcePlan | undefined;
              return other !== undefined && other.kind !== 'buckets';
            },
          }),
        ),
      ),
      serveStreams([stream], signal),
    ],
    http,
    check: (checkSignal) => database.check(checkSignal),
    stop: async () => processors?.ended,
  };
}

function deniedOnly(error: unknown): false {
  if (error instanceof Fault && (error.code === Code.PermissionDenied || error.code === Code.Unauthenticated)) return false;
  throw error;
}
