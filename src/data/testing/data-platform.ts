import { mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { TestContext } from 'node:test';
import { Index } from '#gen/cellar/data/v1/index_pb.ts';
import { Objects } from '#gen/cellar/data/v1/objects_pb.ts';
import { Sync } from '#gen/cellar/data/v1/sync_pb.ts';
import { Tree } from '#gen/cellar/data/v1/tree_pb.ts';
import { Role } from '#gen/cellar/kernel/v1/options_pb.ts';
import { Streams } from '#gen/cellar/kernel/v1/streams_pb.ts';
import { type Caller, serviceCaller } from '#kernel/calls/caller.ts';
import { Code, Fault } from '#kernel/fault.ts';
import type { Extent, Verdict } from '#kernel/guard/guard.ts';
import { createLog, type Log, silentLog } from '#kernel/log.ts';
import type { ServiceDefinition, ServiceInstance } from '#kernel/services/service.ts';
import { startTestPlatform, type TestPlatform } from '#kernel/testing/platform.ts';
import { index } from '../index/main.ts';
import { objects } from '../objects/main.ts';
import { createServer as createObjects } from '../objects/server.ts';
import { type DatasourceKind, planData } from '../plan.ts';
import { sync } from '../sync/main.ts';
import { tree } from '../tree/main.ts';
import { createServer as createTree } from '../tree/server.ts';

export const user: Caller = { id: 'u1', name: 'ada', roles: [Role.USER, Role.ADMIN], scopes: ['*'], via: '' };
export const service: Caller = serviceCaller('cellar.grpc.test');

export type Guarded = (caller: Caller, action: string, resource: string, extent?: Extent) => boolean;

export interface DataPlatformOptions {
  /** Folder names below one parent, which become datasources of those names. */
  readonly datasources?: readonly string[];
  /** The one of them whose folders are buckets. */
  readonly buckets?: string;
  readonly parent?: string;
  readonly home?: string;
  /** Where all services keep their tables; SQLite files in the home when absent. */
  readonly databaseUrl?: string;
  readonly settings?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly isAllowed?: Guarded;
  /** Only these services are started. */
  readonly only?: readonly string[];
  readonly log?: Log;
  /** Other services beside them. */
  readonly more?: readonly ServiceInstance[];
}

/** Real objects, index, sync and tree services over folders on disk, in one process. */
export interface DataPlatform {
  readonly platform: TestPlatform;
  readonly parent: string;
  folder(datasource?: string): string;
  readonly tree: ReturnType<typeof treeClient>;
  index(datasource?: string): ReturnType<typeof indexClient>;
  sync(datasource?: string): ReturnType<typeof syncClient>;
  readonly objects: ReturnType<typeof objectsClient>;
  streams(service: string): ReturnType<typeof streamsClient>;
  stop(): Promise<void>;
}

/** Where tests keep files: a folder whose path has no links, removed after the test. */
export function temporaryParent(t: TestContext, datasources: readonly string[] = ['docs']): string {
  const parent = realpathSync(mkdtempSync(join(tmpdir(), 'cellar-data-')));
  t.after(() => rmSync(parent, { recursive: true, force: true }));
  for (const name of datasources) mkdirSync(join(parent, name));
  return parent;
}

export async function startDataPlatform(t: TestContext, options: DataPlatformOptions = {}): Promise<DataPlatform> {
  const { datasources = ['docs'], isAllowed = () => true, only } = options;
  const parent = options.parent ?? temporaryParent(t, datasources);
  const kindOf = (name: string): DatasourceKind => (name === options.buckets ? 'buckets' : 'folder');
  const plan = planData(
    Object.fromEntries(datasources.map((name) => [name, { folder: join(parent, name), kind: kindOf(name) }])),
    {},
  );
  const guard = {
    keySecret: async () => undefined,
    assertAllowed: async (caller: Caller, action: string, resource: string, _signal?: AbortSignal, extent?: Extent) => {
      if (!isAllowed(caller, action, resource, extent))
        throw new Fault(Code.PermissionDenied, `${caller.name} may not ${action} ${resource}`);
    },
    verdict: async (): Promise<Verdict> => ({ kind: 'allowed' }),
    knownVerdict: () => undefined,
    findUser: async () => undefined,
  };
  const definitions: Readonly<Record<string, ServiceDefinition>> = {
    [index.name]: index,
    [sync.name]: sync,
    [objects.name]: { ...objects, start: (micro) => createObjects(micro as Parameters<typeof createObjects>[0], { guard }) },
  };
  const instances: ServiceInstance[] = [
    ...plan.instances.map(({ service: name, instance, plan: own }) => ({
      definition: definitions[name] as ServiceDefinition,
      instance,
      plan: own,
    })),
    { definition: { ...tree, start: (micro) => createTree(micro, { guard }) }, instance: '', plan: undefined },
  ];
  const level = process.env['CELLAR_TEST_LOG'];
  const platform = await startTestPlatform(
    [...instances.filter(({ definition }) => !only || only.includes(definition.name)), ...(options.more ?? [])],
    {
      log: options.log ?? (level ? createLog({ level: 'debug', write: (line) => void process.stderr.write(line) }) : silentLog),
      ...(options.home ? { home: options.home } : {}),
      ...(options.databaseUrl ? { databaseUrl: options.databaseUrl } : {}),
      ...(options.settings ? { settings: options.settings } : {}),
    },
  );
  t.after(() => platform.stop());
  return {
    platform,
    parent,
    folder: (datasource = datasources[0]) => join(parent, basename(datasource ?? '')),
    tree: treeClient(platform),
    index: (datasource = datasources[0]) => indexClient(platform, datasource ?? ''),
    sync: (datasource = datasources[0]) => syncClient(platform, datasource ?? ''),
    objects: objectsClient(platform),
    streams: (name) => streamsClient(platform, name),
    stop: () => platform.stop(),
  };
}

const treeClient = (platform: TestPlatform) => platform.client(Tree, user);
const indexClient = (platform: TestPlatform, name: string) => platform.client(Index, service, `${index.name}.${name}`);
const syncClient = (platform: TestPlatform, name: string) =>
  platform.client(Sync, { ...service, roles: [Role.SERVICE, Role.ADMIN] }, `${sync.name}.${name}`);
const objectsClient = (platform: TestPlatform) => platform.client(Objects, service, `${objects.name}.local1`);
const streamsClient = (platform: TestPlatform, name: string) => platform.client(Streams, service, name);
