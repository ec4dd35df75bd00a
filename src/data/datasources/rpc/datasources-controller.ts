import { basename } from 'node:path';
import { create } from '@bufbuild/protobuf';
import { type Datasource, Datasource_Kind, DatasourceSchema, type Datasources } from '#gen/cellar/data/v1/datasources_pb.ts';
import { Index } from '#gen/cellar/data/v1/index_pb.ts';
import { Objects } from '#gen/cellar/data/v1/objects_pb.ts';
import { Sync, type SyncStatus } from '#gen/cellar/data/v1/sync_pb.ts';
import { Settings } from '#gen/cellar/platform/v1/services_pb.ts';
import type { Call } from '#kernel/calls/call.ts';
import type { Implementation } from '#kernel/calls/dispatcher.ts';
import { alreadyExists, Code, Fault, notFound } from '#kernel/fault.ts';
import type { Guard } from '#kernel/guard/guard.ts';
import { ServiceState } from '#kernel/services/registry.ts';
import type { Micro } from '#kernel/services/service.ts';
import type { DatasourceKind, DatasourcePlan, DatasourceSettings, ObjectsPlan, RemoteBucket } from '../../plan.ts';
import { checkFolder } from '../logic/check-folder.ts';
import { checkRemote } from '../logic/check-remote.ts';

const indexService = 'cellar.grpc.data.index.';
const syncService = 'cellar.grpc.data.sync.';
/** How long a status may take; a datasource without one is shown all the same. Unit: milliseconds. */
const statusTimeoutMs = 500;
/** How long to wait for the services of a new datasource. Unit: milliseconds. */
const startMsMax = 10_000;

export function createDatasourcesController(
  micro: Pick<Micro, 'registry' | 'client' | 'log' | 'home'>,
  guard: Pick<Guard, 'assertAllowed'>,
): Implementation<typeof Datasources> {
  const { registry, log } = micro;
  const settings = micro.client(Settings);
  const index = (name: string) => micro.client(Index, { service: indexService + name });
  const sync = (name: string) => micro.client(Sync, { service: syncService + name });

  const plans = (): DatasourcePlan[] =>
    registry.all
      .filter(({ service }) => service.startsWith(indexService))
      .map(({ plan }) => plan as DatasourcePlan)
      .sort((a, b) => (a.datasource < b.datasource ? -1 : 1));

  function find(name: string): DatasourcePlan {
    const plan = plans().find(({ datasource }) => datasource === name);
    if (!plan) {
      throw notFound(`There is no datasource ${JSON.stringify(name)}`, {
        reason: 'datasource_missing',
        hint: '`cellar datasource list` shows those there are.',
      });
    }
    return plan;
  }

  async function statusOf(name: string): Promise<SyncStatus | undefined> {
    try {
      return await sync(name).getSyncStatus({}, { timeoutMs: statusTimeoutMs });
    } catch (error) {
      log.debug('a datasource does not say its status', { datasource: name, error });
      return undefined;
    }
  }

  const assertReadable = (call: Call, name: string): Promise<void> =>
    guard.assertAllowed(call.caller, 'data:read', `data/${name}`, call.signal);

  async function isReadable(call: Call, name: string): Promise<boolean> {
    try {
      await assertReadable(call, name);
      return true;
    } catch (error) {
      if (error instanceof Fault && error.code === Code.PermissionDenied) return false;
      throw error;
    }
  }

  const remoteOf = ({ datasource, objectsService }: DatasourcePlan): RemoteBucket | undefined =>
    (registry.get(objectsService)?.plan as ObjectsPlan | undefined)?.buckets.find(({ bucket }) => bucket === datasource)?.remote;

  async function describe(plan: DatasourcePlan): Promise<Datasource> {
    const { datasource, kind = 'folder', folder, objectsService } = plan;
    const [status, remote] = [await statusOf(datasource), remoteOf(plan)];
    return create(DatasourceSchema, {
      ...{ name: datasource, kind: kinds[kind], folder, objectsService },
      bucketFolder: kind === 'folder' ? basename(folder) : '',
      ...(remote ? { remote } : {}),
      ...(status ? { sync: status } : {}),
    });
  }

  function existing(): Record<string, DatasourceSettings> {
    return Object.fromEntries(
      plans().map((plan) => {
        const remote = remoteOf(plan);
        return [plan.datasource, { kind: plan.kind ?? 'folder', folder: plan.folder, ...(remote ? { remote } : {}) }];
      }),
    );
  }

  /** Another datasource of the name, later, is not told by who told this one. A sync that is away keeps nobody from removing it. */
  async function forgetToken(name: string): Promise<void> {
    try {
      await sync(name).deleteNotificationToken({}, { timeoutMs: statusTimeoutMs });
    } catch (error) {
      log.warn('the token of notifications could not be removed', { datasource: name, error });
    }
  }

  /** A bucket that was made over S3 would be hidden by a datasource of its name. */
  async function assertNoBucket(name: string): Promise<void> {
    const making = plans().find(({ kind }) => kind === 'buckets');
    if (!making) return;
    const { buckets } = await micro.client(Objects, { service: making.objectsService }).listBuckets({});
    if (!buckets.some((bucket) => bucket.name === name)) return;
    throw alreadyExists(`Cannot add datasource "${name}": there is a bucket of that name in "${making.datasource}"`, {
      reason: 'bucket_exists',
      hint: 'Choose another name, or delete that bucket first.',
    });
  }

  /** What is stored of a new datasource, in this order: it is served once the last one is there. */
  async function settingsOf(name: string, datasource: Datasource, signal: AbortSignal): Promise<[leaf: string, value: string][]> {
    const { kind, folder, remote } = datasource;
    if (kind !== Datasource_Kind.REMOTE) {
      const word = kind === Datasource_Kind.BUCKETS ? 'buckets' : 'folder';
      const path = await checkFolder(name, folder, existing(), micro.home, word);
      return [...(word === 'folder' ? [] : [['kind', word] as [string, string]]), ['folder', path]];
    }
    const { secretKey = '', secretKeyFile = '' } = remote ?? {};
    const { endpoint, bucket, prefix, region, accessKey } = await checkRemote(name, datasource, existing(), signal);
    return [
      ['kind', 'remote'],
      ...Object.entries({ bucket, prefix, region, accessKey, secretKey, secretKeyFile }).filter(([, value]) => value !== ''),
      ['endpoint', endpoint],
    ];
  }

  /** Resolves when all services of a datasource are ready, or when patience ends: they go on starting. */
  function started(name: string, call: Call): Promise<void> {
    const isReady = (): boolean => {
      const plan = registry.get(indexService + name)?.plan as DatasourcePlan | undefined;
      if (!plan) return false;
      const objects = registry.get(plan.objectsService);
      // One that serves other folders already has to start anew with this one among them.
      const { buckets = [], bucketsOf } = (objects?.plan as ObjectsPlan | undefined) ?? {};
      const hasBucket = bucketsOf === name || buckets.some(({ bucket }) => bucket === name);
      const services = [objects, registry.get(indexService + name), registry.get(syncService + name)];
      return hasBucket && services.every((service) => service?.state === ServiceState.Ready);
    };
    return waitFor(registry, isReady, AbortSignal.any([call.signal, AbortSignal.timeout(startMsMax)]));
  }

  /** Holds back the end until the folder was compared, where that is needed; while paused it is compared when that ends. */
  async function* thenCompared<T extends { readonly done: boolean }>(
    name: string,
    steps: AsyncIterable<T>,
    call: Call,
    isNeeded: (last: T) => boolean,
  ): AsyncGenerator<T> {
    for await (const step of steps) {
      if (step.done && isNeeded(step)) {
        try {
          for await (const _ of sync(name).resync({}, { call }));
        } catch (error) {
          if (!(error instanceof Fault && error.reason === 'paused')) throw error;
        }
      }
      yield step;
    }
  }

  return {
    async createDatasource({ datasource }, call) {
      const wanted = datasource ?? create(DatasourceSchema);
      const { name } = wanted;
      const known = plans().find((one) => one.datasource === name);
      if (known) {
        throw alreadyExists(`Cannot add datasource "${name}": there is one, of ${known.folder || 'another server'}`, {
          reason: 'datasource_exists',
          hint: 'Choose another name, or remove that one first.',
        });
      }
      const stored = await settingsOf(name, wanted, call.signal);
      if (wanted.kind !== Datasource_Kind.BUCKETS) await assertNoBucket(name);
      for (const [leaf, value] of stored) {
        await settings.setSetting({ key: `datasources.${name}.${leaf}`, value: JSON.stringify(value) }, { call });
      }
      await started(name, call);
      const plan = plans().find((one) => one.datasource === name);
      return plan ? describe(plan) : { name, folder: wanted.folder, kind: wanted.kind };
    },
    async getDatasource({ name }, call) {
      await assertReadable(call, name);
      return describe(find(name));
    },
    async listDatasources(_request, call) {
      const all = plans();
      const readable = await Promise.all(all.map(({ datasource }) => isReadable(call, datasource)));
      return { datasources: await Promise.all(all.filter((_, at) => readable[at]).map(describe)) };
    },
    async deleteDatasource({ name }, call) {
      const { kind = 'folder' } = find(name);
      if (kind === 'remote') await forgetToken(name);
      // First what makes it one: without it nothing is served, whatever else is said of it.
      for (const leaf of leaves[kind]) await settings.unsetSetting({ key: `datasources.${name}.${leaf}` }, { call });
      const isGone = (): boolean => registry.get(indexService + name) === undefined;
      await waitFor(registry, isGone, AbortSignal.any([call.signal, AbortSignal.timeout(startMsMax)]));
      return {};
    },
    async *resyncDatasource({ name, dryRun, confirmDeletes, path, limit }, call) {
      find(name);
      yield* sync(name).resync({ dryRun, confirmDeletes, path, limit }, { call });
    },
    async pauseDatasource({ name, reason }, call) {
      const plan = find(name);
      await sync(name).pause({ reason }, { call });
      return describe(plan);
    },
    async resumeDatasource({ name }, call) {
      const plan = find(name);
      await sync(name).resume({}, { call });
      return describe(plan);
    },
    async createDatasourceNotificationToken({ name }, call) {
      find(name);
      const { token } = await sync(name).createNotificationToken({}, { call });
      return { token, path: `/notifications/${name}` };
    },
    async deleteDatasourceNotificationToken({ name }, call) {
      find(name);
      await sync(name).deleteNotificationToken({}, { call });
      return {};
    },
    async *checkDatasource({ name, repair }, call) {
      find(name);
      yield* thenCompared(name, index(name).checkIndex({ repair }, { call }), call, (step) => repair && step.needsFullPass);
    },
    async *createDatasourceSnapshot({ name }, call) {
      find(name);
      yield* index(name).takeSnapshot({}, { call });
    },
    async listDatasourceSnapshots({ name }, call) {
      find(name);
      return await index(name).listSnapshots({}, { call });
    },
    async *restoreDatasourceSnapshot({ name, snapshot }, call) {
      find(name);
      yield* thenCompared(name, index(name).restoreSnapshot({ name: snapshot }, { call }), call, () => true);
    },
    async deleteDatasourceSnapshot({ name, snapshot }, call) {
      find(name);
      await index(name).deleteSnapshot({ name: snapshot }, { call });
      return {};
    },
  };
}

const kinds: Readonly<Record<DatasourceKind, Datasource_Kind>> = {
  folder: Datasource_Kind.FOLDER,
  buckets: Datasource_Kind.BUCKETS,
  remote: Datasource_Kind.REMOTE,
};

/** Settings of a datasource, the one that makes it one first. */
const leaves: Readonly<Record<DatasourceKind, readonly string[]>> = {
  folder: ['folder'],
  buckets: ['folder', 'kind'],
  remote: ['endpoint', 'bucket', 'prefix', 'region', 'accessKey', 'secretKey', 'secretKeyFile', 'kind'],
};

/** Resolves when the registry makes it so, or when the signal fires. */
function waitFor(registry: Micro['registry'], isSo: () => boolean, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (isSo() || signal.aborted) return resolve();
    const end = (): void => {
      stop();
      resolve();
    };
    const stop = registry.watch(() => {
      if (isSo()) end();
    });
    signal.addEventListener('abort', end, { once: true });
  });
}
