import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DescService } from '@bufbuild/protobuf';
import type { Caller } from '../calls/caller.ts';
import { type Client, createClient } from '../calls/client.ts';
import { createDirectChannel } from '../calls/direct.ts';
import { Endpoint } from '../calls/endpoint.ts';
import { openDatabase, setDatabaseAside } from '../database/open.ts';
import { unavailable } from '../fault.ts';
import { type Log, silentLog } from '../log.ts';
import { createEngines } from '../services/engines.ts';
import { type Started, type Surroundings, startInstances, stopInstances } from '../services/launcher.ts';
import { type Channels, Registry, routeTo } from '../services/registry.ts';
import type { Metrics, ServiceInstance } from '../services/service.ts';
import { type SettingsSpec, settingsOf } from '../settings/setting.ts';

export interface TestPlatformOptions {
  readonly log?: Log;
  readonly clock?: { now(): number };
  /** Values for a service's settings, by service name; defaults for the rest. */
  readonly settings?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** Database URL; default SQLite files in the platform's folder. */
  readonly databaseUrl?: string;
  /** Streams and leases over Redis; default: the database. */
  readonly redisUrl?: string;
  /** Default: none are kept. */
  readonly metrics?: Metrics;
  /** Default: a new temporary folder, removed at the end. */
  readonly home?: string;
}

/** Services in one process, for tests: real launcher, real database, direct calls. Ends with `await using`. */
export interface TestPlatform extends AsyncDisposable {
  readonly home: string;
  readonly surroundings: Surroundings;
  /** In the order in which they were started. */
  readonly started: readonly Started[];
  /** A client that calls as `caller`; `service` names an instance. */
  client<D extends DescService>(desc: D, caller: Caller, service?: string): Client<D>;
  stop(): Promise<void>;
}

export async function startTestPlatform(
  instances: readonly ServiceInstance[],
  options: TestPlatformOptions = {},
): Promise<TestPlatform> {
  const home = options.home ?? (await mkdtemp(join(tmpdir(), 'cellar-test-')));
  const log = options.log ?? silentLog;
  const endpoint = new Endpoint();
  const registry = new Registry();
  const direct = createDirectChannel(endpoint);
  const channels: Channels = { to: () => direct, close: async () => undefined };
  const http: Surroundings['http'] = new Map();
  const url = options.databaseUrl ?? `sqlite:${home}/`;
  const engines = createEngines({
    streamsUrl: options.redisUrl ?? '',
    leasesUrl: options.redisUrl ?? '',
    openDatabase: async () => openDatabase({ url, name: 'cellar.shared', log }),
    log,
  });
  const surroundings: Surroundings = {
    home,
    machine: 'test',
    log,
    clock: options.clock ?? Date,
    metrics: options.metrics ?? noMetrics,
    registry,
    channels,
    endpoint,
    http,
    forward: async (service, request, response) => {
      const handler = http.get(service);
      if (!handler) throw unavailable(`Cannot reach ${service}: it is not running`, { reason: 'not_running' });
      await handler(request, response);
    },
    settings: (definition) => settingsOf(definition.settings as SettingsSpec, options.settings?.[definition.name] ?? {}),
    engines,
    openDatabase: async (service, opened) => openDatabase({ url, name: service, log, ...opened }),
    setDatabaseAside: async (service) => setDatabaseAside({ url, name: service }),
    address: { kind: 'direct' },
  };
  const started = await startInstances(instances, surroundings);
  let isStopped = false;
  const stop = async (): Promise<void> => {
    if (isStopped) return;
    isStopped = true;
    await stopInstances(started, AbortSignal.timeout(10_000));
    await engines.close();
    if (!options.home) await rm(home, { recursive: true, force: true });
  };
  return {
    home,
    surroundings,
    started,
    client: (desc, caller, service) => createClient(desc, { route: routeTo(registry, channels, desc.typeName, service), caller }),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

const noMetrics: Metrics = {
  counter: () => ({ add: () => undefined }),
  gauge: () => undefined,
  gauges: () => undefined,
  histogram: () => ({ observe: () => undefined }),
  render: async () => '',
};
