import { type Audit, createAudit } from '../audit.ts';
import { Endpoint } from '../calls/endpoint.ts';
import { openDatabase, setDatabaseAside } from '../database/open.ts';
import type { Log } from '../log.ts';
import type { ProcessMetrics } from '../metrics.ts';
import { createEngines } from '../services/engines.ts';
import type { Surroundings } from '../services/launcher.ts';
import type { Address, Registry } from '../services/registry.ts';
import type { ServiceDefinition } from '../services/service.ts';
import { settingsView } from '../settings/live-settings.ts';
import { type Settings, settingValue } from '../settings/resolve.ts';
import { Secret, type SettingsSpec } from '../settings/setting.ts';
import type { TlsIdentity, TlsMaterial } from '../transports/ca/tls.ts';
import { createProcessChannels } from './channels.ts';
import { sectionName } from './instances.ts';
import { homePaths, socketPath } from './paths.ts';

export interface ProcessOptions {
  readonly home: string;
  readonly machine: string;
  /** Of its sockets: `main`, or the service's name. */
  readonly socket: string;
  readonly log: Log;
  readonly metrics: ProcessMetrics;
  readonly registry: Registry;
  /** The settings as they are now. */
  readonly settings: () => Settings;
  readonly restarts: number;
  /** Among several machines: where others reach this process, and its certificate. Port 0: any. */
  readonly machineEdge: MachineEdge | undefined;
}

export interface MachineEdge {
  readonly host: string;
  readonly port: number;
  readonly tls: TlsIdentity;
  /** The certificate to use from now on: a new one when the old is nearly over, or when the bundle was replaced. */
  readonly ensure: () => Promise<TlsMaterial>;
}

/** A process as other machines reach it. */
export interface RemoteAddresses {
  readonly rpc: Address;
  /** Absent until it answers HTTP. */
  readonly http: Address | undefined;
}

/** What services of a process stand on, and how to let it go again. */
export interface ProcessSurroundings {
  readonly surroundings: Surroundings;
  /** How other machines reach this process; undefined when this machine is alone. */
  readonly remote: RemoteAddresses | undefined;
  /** Begins to answer HTTP for other processes. */
  listenHttp(): Promise<void>;
  close(): Promise<void>;
}

/** Sockets, channels, audit and all else a process has before it starts services. */
export async function createSurroundings(options: ProcessOptions): Promise<ProcessSurroundings> {
  const { home, log, metrics, registry, settings, machineEdge } = options;
  const paths = homePaths(home);
  const endpoint = new Endpoint();
  const http: Surroundings['http'] = new Map();
  const audit: Audit = createAudit({ path: paths.audit, log });
  const path = socketPath(home, options.socket);
  const channels = await createProcessChannels({ endpoint, path, registry, tls: machineEdge?.tls, log });
  // Most processes never see raw HTTP, and Node's part for it is large.
  const forwarding = lazy(async () =>
    (await import('./http.ts')).createForward({ registry, handlers: http, tls: machineEdge?.tls }),
  );
  const closing: (() => Promise<void>)[] = [];
  let remote: RemoteAddresses | undefined;
  if (machineEdge) {
    const [{ serveGrpc }, { keepRenewed }] = await Promise.all([
      import('../transports/grpc/server.ts'),
      import('../transports/ca/renew.ts'),
    ]);
    const renewing = new AbortController();
    const renewed = keepRenewed(machineEdge.tls, { ensure: machineEdge.ensure, log, signal: renewing.signal });
    closing.push(async () => {
      renewing.abort();
      await renewed;
    });
    const server = await serveGrpc(endpoint, { ...machineEdge, log });
    closing.push(() => server.close(AbortSignal.timeout(1000)));
    remote = { rpc: { kind: 'grpc', host: machineEdge.host, port: server.port }, http: undefined };
  }
  const engines = createEngines({
    streamsUrl: (settingValue(settings(), 'streams.url') as Secret).reveal(),
    leasesUrl: (settingValue(settings(), 'leases.url') as Secret).reveal(),
    openDatabase: async () =>
      openDatabase({ url: databaseUrl(home, settings(), 'cellar.shared'), name: 'cellar.shared', log, durable: true }),
    log,
  });
  const surroundings: Surroundings = {
    home,
    machine: options.machine,
    log,
    clock: Date,
    metrics,
    registry,
    channels,
    endpoint,
    http,
    forward: async (service, request, response) => (await forwarding.get()).forward(service, request, response),
    settings: (definition) => viewOf(definition, settings),
    secret: (key) => {
      const value = settings().byKey.get(key)?.value;
      return value instanceof Secret ? value : undefined;
    },
    engines,
    openDatabase: async (service, options) =>
      openDatabase({ url: databaseUrl(home, settings(), service), name: service, log, ...options }),
    setDatabaseAside: async (service) => setDatabaseAside({ url: databaseUrl(home, settings(), service), name: service }),
    address: { kind: 'local', path },
    restarts: options.restarts,
    audit: audit.note,
    observe: (record) => {
      metrics.observeCall(record);
      audit.observe(record);
    },
  };
  return {
    surroundings,
    get remote() {
      return remote;
    },
    listenHttp: async () => {
      const { serveHttp } = await import('./http.ts');
      const local = await serveHttp({ path: socketPath(home, options.socket, 'http') }, http);
      closing.push(local.close);
      if (!machineEdge || !remote) return;
      const { host, tls } = machineEdge;
      const wide = await serveHttp({ host, port: 0, tls }, http);
      closing.push(wide.close);
      remote = { ...remote, http: { kind: 'grpc', host, port: wide.port } };
    },
    close: async () => {
      await Promise.all(closing.map((close) => close()));
      (await forwarding.made())?.close();
      await channels.close();
      await engines.close();
      await audit.close();
    },
  };
}

/** Makes something when it is first asked for. */
function lazy<T>(make: () => Promise<T>): { get(): Promise<T>; made(): Promise<T | undefined> } {
  let made: Promise<T> | undefined;
  return {
    get: () => {
      made ??= make();
      return made;
    },
    made: async () => made,
  };
}

function viewOf(definition: ServiceDefinition<SettingsSpec>, settings: () => Settings): unknown {
  return settingsView(sectionName(definition), definition.settings, settings);
}

/** Where a service keeps its tables: its own setting, that of all its kind, the common one, SQLite in the home. */
export function databaseUrl(home: string, settings: Settings, service: string): string {
  const perService = settingValue(settings, 'database.perService') as Readonly<Record<string, { readonly url: Secret }>>;
  const name = Object.keys(perService)
    .filter((candidate) => service === candidate || service.startsWith(`${candidate}.`))
    .toSorted((a, b) => b.length - a.length)[0];
  const own = name ? perService[name]?.url.reveal() : '';
  return own || (settingValue(settings, 'database.url') as Secret).reveal() || `sqlite:${homePaths(home).databases}/`;
}
