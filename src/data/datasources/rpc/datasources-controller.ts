import { basename } from 'node:path';
import { create } from '@bufbuild/protobuf';
import { type Datasource, DatasourceSchema, type Datasources } from '#gen/cellar/data/v1/datasources_pb.ts';
import { Sync, type SyncStatus } from '#gen/cellar/data/v1/sync_pb.ts';
import { Settings } from '#gen/cellar/platform/v1/services_pb.ts';
import type { Call } from '#kernel/calls/call.ts';
import type { Implementation } from '#kernel/calls/dispatcher.ts';
import { alreadyExists, Code, Fault, notFound } from '#kernel/fault.ts';
import type { Guard } from '#kernel/guard/guard.ts';
import { ServiceState } from '#kernel/services/registry.ts';
import type { Micro } from '#kernel/services/service.ts';
import type { DatasourcePlan, ObjectsPlan } from '../../plan.ts';
import { checkFolder } from '../logic/check-folder.ts';

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
  const keyOf = (name: string): string => `datasources.${name}.folder`;

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
      return await micro.client(Sync, { service: syncService + name }).getSyncStatus({}, { timeoutMs: statusTimeoutMs });
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

  async function describe({ datasource, folder, objectsService }: DatasourcePlan): Promise<Datasource> {
    const sync = await statusOf(datasource);
    return create(DatasourceSchema, {
      ...{ name: datasource, folder, objectsService, bucketFolder: basename(folder) },
      ...(sync ? { sync } : {}),
    });
  }

  /** Resolves when all services of a datasource are ready, or when patience ends: they go on starting. */
  function started(name: string, call: Call): Promise<void> {
    const isReady = (): boolean => {
      const plan = registry.get(indexService + name)?.plan as DatasourcePlan | undefined;
      if (!plan) return false;
      const objects = registry.get(plan.objectsService);
      // One that serves other folders already has to start anew with this one among them.
      const hasBucket = (objects?.plan as ObjectsPlan | undefined)?.buckets.some(({ bucket }) => bucket === name) ?? false;
      const services = [objects, registry.get(indexService + name), registry.get(syncService + name)];
      return hasBucket && services.every((service) => service?.state === ServiceState.Ready);
    };
    return waitFor(registry, isReady, AbortSignal.any([call.signal, AbortSignal.timeout(startMsMax)]));
  }

  return {
    async createDatasource({ datasource }, call) {
      const { name = '', folder = '' } = datasource ?? {};
      const existing = Object.fromEntries(plans().map((plan) => [plan.datasource, { folder: plan.folder }]));
      if (name in existing) {
        throw alreadyExists(`Cannot add datasource "${name}": there is one, of ${existing[name]?.folder}`, {
          reason: 'datasource_exists',
          hint: 'Choose another name, or remove that one first.',
        });
      }
      const path = await checkFolder(name, folder, existing, micro.home);
      await settings.setSetting({ key: keyOf(name), value: JSON.stringify(path) }, { call });
      await started(name, call);
      const plan = plans().find((one) => one.datasource === name);
      return plan ? describe(plan) : { name, folder: path };
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
      find(name);
      await settings.unsetSetting({ key: keyOf(name) }, { call });
      const isGone = (): boolean => registry.get(indexService + name) === undefined;
      await waitFor(registry, isGone, AbortSignal.any([call.signal, AbortSignal.timeout(startMsMax)]));
      return {};
    },
    async *resyncDatasource({ name, dryRun, confirmDeletes }, call) {
      const { datasource } = find(name);
      yield* micro.client(Sync, { service: syncService + datasource }).resync({ dryRun, confirmDeletes }, { call });
    },
  };
}

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
