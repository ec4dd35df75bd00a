import { randomBytes, randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { create, toBinary } from '@bufbuild/protobuf';
import { FleetEventSchema } from '#gen/cellar/fleet/v1/common_pb.ts';
import type { Transaction } from '#kernel/database/database.ts';
import { fenced, prepareFences } from '#kernel/leases/fence.ts';
import type { Micro, Running } from '#kernel/services/service.ts';
import type { SettingsOf } from '#kernel/settings/setting.ts';
import { serveStreams } from '#kernel/streams/remote.ts';
import { keepTrimmed } from '#kernel/streams/trim.ts';
import manifest from '../../../package.json' with { type: 'json' };
import { planMembers } from '../blueprints/logic/plan-members.ts';
import type { EngineRef } from '../driver/driver.ts';
import { createRemoteDriver } from '../driver/remote-driver.ts';
import { createBlueprintShelf } from './logic/blueprint-shelf.ts';
import type { ControlParts } from './logic/control-parts.ts';
import { createEngine } from './logic/engine.ts';
import type { FleetEvent } from './logic/events.ts';
import { createFleetFigures } from './logic/fleet-figures.ts';
import { HostSights, isSeen } from './logic/host-sights.ts';
import { autofillHost } from './logic/host-verbs.ts';
import { judgeOperations } from './logic/operations.ts';
import { createPeople } from './logic/people.ts';
import type { ReconcileParts } from './logic/reconcile-cluster.ts';
import { createRemoteAgents } from './logic/remote-agents.ts';
import { SnapshotFiles } from './logic/snapshot-files.ts';
import { StormGuard } from './logic/storm-guard.ts';
import { tidySnapshots } from './logic/tidy-snapshots.ts';
import { keepLeased } from './processors/keep-leased.ts';
import { startWebhooks } from './processors/start-webhooks.ts';
import { createVolumeMover } from './processors/volume-mover.ts';
import { createHostWatches } from './processors/watch-hosts.ts';
import { createWatchdog } from './processors/watchdog.ts';
import { blueprintsRpc } from './rpc/blueprints-controller.ts';
import { clustersRpc } from './rpc/clusters-controller.ts';
import { engineRpc } from './rpc/engine-controller.ts';
import { hostsRpc } from './rpc/hosts-controller.ts';
import { eventMessage } from './rpc/messages.ts';
import { lastEvents, operationsRpc } from './rpc/operations-controller.ts';
import { snapshotsRpc } from './rpc/snapshots-controller.ts';
import { webhooksRpc } from './rpc/webhooks-controller.ts';
import type { settings } from './settings.ts';
import { createFigureStore } from './store/figure-rows.ts';
import { createFleetStore } from './store/sql.ts';
import type { StoredCluster, StoredHost } from './store/store.ts';
import { createWebhookStore } from './store/webhook-rows.ts';

const dayMs = 86_400_000;
const minuteMs = 60_000;
const mebibyte = 1024 * 1024;
const leaseName = 'fleet-watchdog';
const observeMs = 20_000;

export async function createServer(micro: Micro<SettingsOf<typeof settings>>): Promise<Running> {
  const { database, log, signal, settings } = micro;
  const now = (): number => micro.clock.now();
  const store = createFleetStore(database);
  await prepareFences(database);
  const stream = await micro.openStream('fleet');
  const shelf = createBlueprintShelf(database, store);
  const fleet = await store.fleetId(randomBytes(6).toString('hex'));
  const figures = createFleetFigures({
    ...{ store, metrics: micro.metrics, now, log },
    figures: createFigureStore(database),
    webhooks: createWebhookStore(database),
  });
  /** Of the lease by which this watchdog works; agents refuse older ones. */
  let epoch = 0;

  const append = async (tx: Transaction, events: readonly FleetEvent[]): Promise<void> => {
    if (events.length === 0) return;
    const payloads = events.map((event) => create(FleetEventSchema, eventMessage(event, now())));
    await stream.append(
      tx,
      events.map(({ kind, name, reason }, at) => ({
        key: `${kind}/${name}`,
        type: reason,
        payload: toBinary(FleetEventSchema, payloads[at] ?? create(FleetEventSchema)),
      })),
    );
    tx.afterCommit(() => notice(events));
  };
  const driverFor = async (engine: EngineRef) => createRemoteDriver(micro, engine, () => epoch);
  const driverOf = async (name: string) => {
    const host = await store.hostRecord(name);
    if (!host) throw new Error(`There is no host "${name}"`);
    const { type, address, credentials, remoteAgent: isRemote = false } = host.spec;
    return await driverFor({ host: name, type, address, credentials, fleet, isRemote });
  };
  const remoteAgents = createRemoteAgents(micro);
  const sights = new HostSights(driverOf, observeMs);
  const planOf = async ({ digest, name: cluster, incarnation, parameters, secrets, ports, host }: StoredCluster) => {
    const found = await store.hostRecord(host);
    const agent = found?.spec.type ?? 'process';
    return planMembers(await shelf.byDigest(digest), {
      cluster,
      incarnation,
      agent,
      parameters,
      secrets,
      ports,
      publicHost: publicHost(found?.spec.address ?? ''),
      publicHosts: await addressesOf(sights, found, cluster, incarnation),
    });
  };
  const parts: ControlParts = {
    ...{ database, store, append, driverOf, driverFor, now, fleet },
    blueprint: (name) => shelf.get(name),
    look: (cluster) => watchdog.look(cluster),
    newId: randomUUID,
    newSecret: (bytes) => randomBytes(bytes).toString('hex'),
  };
  /** Of the watchdog: refused once another one works. */
  const commit: ReconcileParts['commit'] = async (tx, events) => {
    await fenced(tx, leaseName, epoch);
    await append(tx, events);
  };
  const files = new SnapshotFiles(join(micro.folder, 'snapshots'));
  const mover = createVolumeMover({
    ...{ database, store, driverOf, files, commit, now, log, look: parts.look },
    sizeBytesMax: () => settings.snapshotSizeMaxMib * mebibyte,
  });
  const guard = new StormGuard({ sickMin: settings.sickAtOnce, sickShareMax: settings.sickPercent / 100 });
  const watchdog = createWatchdog({
    ...{ database, store, sights, driverOf, guard, now, log, newSecret: parts.newSecret },
    blueprintOf: (digest) => shelf.byDigest(digest),
    ...{ commit, mover },
    watches: createHostWatches({ driverOf, log, look: parts.look }),
    publicHost: ({ spec }) => publicHost(spec.address),
    limits: {
      ...{ buildMsMax: 2 * minuteMs, graceMs: 10_000, failuresMax: 3, successesMin: 2, everyMs: 5000, soonMs: 200 },
      repair: { firstMs: 1000, maxMs: 5 * minuteMs },
    },
    mayRebuild: ({ host }) => guard.mayRebuild(host),
    progress: new Map(),
    periodMs: () => settings.lookSeconds * 1000,
    concurrency: settings.buildsAtOnce,
    hostConcurrency: settings.buildsAtOncePerHost,
    autofill: (host) => autofillHost({ ...parts, append: commit }, host.name),
    releaseHost: (host) => remoteAgents.revoke(host),
    afterPass: async (durationMs) => {
      await tidySnapshots({ ...parts, files, commit });
      await judgeOperations({ ...parts, append: commit });
      await figures.passed(durationMs);
    },
  });
  const engine = createEngine(parts, () => ({
    ttlMs: settings.claimMinutes * minuteMs,
    ttlMsMax: settings.claimMinutesMax * minuteMs,
    quota: settings.claimsPerUser,
  }));

  /** What a committed event means for those that wait. */
  function notice(events: readonly FleetEvent[]): void {
    for (const { reason } of events) {
      if (reason === 'ClusterReady' || reason === 'ClusterHealthy') engine.ring();
    }
    figures.notice(events);
  }

  const watching = keepLeased(micro, leaseName, async (lease, leased) => {
    epoch = lease.epoch;
    log.info('the watchdog begins', { epoch });
    await watchdog.run(leased);
    figures.hide();
  });
  void keepTrimmed(stream, { ageMsMax: 30 * dayMs, countMax: 1_000_000 }, log, signal);
  const events = {
    source: stream,
    oldest: async () =>
      (await database.get<{ trimmed: number }>('select trimmed from cellar_streams where name = $1', 'fleet'))?.trimmed ?? 0,
  };
  const kept = figures.keep(signal);
  const webhooks = startWebhooks(micro, {
    ...{ append, source: stream, oldest: events.oldest, fleet, newId: parts.newId, newSecret: parts.newSecret },
    observe: figures.delivered,
  });
  const snapshotLimits = () => ({
    countMax: settings.snapshotsPerCluster,
    totalBytesMax: settings.snapshotsSizeMaxMib * mebibyte,
  });
  return {
    bindings: [
      hostsRpc({ ...parts, sights, remoteAgents }),
      clustersRpc({
        ...{ ...parts, sights, planOf, version: manifest.version },
        eventsOf: (cluster, last, owner, patience) => lastEvents(events, cluster, last, owner, patience),
      }),
      engineRpc({ ...parts, engine, figures, people: createPeople(micro), events, planOf }),
      operationsRpc({ ...parts, events }),
      snapshotsRpc({ ...parts, planOf, files, snapshotLimits, blueprintOf: (digest) => shelf.byDigest(digest) }),
      blueprintsRpc(shelf),
      webhooksRpc(webhooks.parts, webhooks.sender),
      serveStreams([stream], signal),
    ],
    check: (patience) => database.check(patience),
    stop: async () => void (await Promise.all([watching, webhooks.ended, kept])),
  };
}

/** Of a host of several machines: where each member is, which is known once one has looked. */
async function addressesOf(
  sights: HostSights,
  host: StoredHost | undefined,
  cluster: string,
  incarnation: number,
): Promise<Readonly<Record<string, string>>> {
  if (host?.spec.type !== 'swarm' && host?.spec.type !== 'kubernetes') return {};
  const sight = sights.latest(host.name) ?? (await sights.since(host.name, 0, AbortSignal.timeout(observeMs)));
  if (!isSeen(sight)) return {};
  const members = sight.of(cluster).members.filter((member) => member.incarnation === incarnation);
  return Object.fromEntries(members.flatMap(({ member, address }) => (address ? [[member, address]] : [])));
}

/** Where clients reach the ports of an engine: the machine it is on. */
function publicHost(address: string): string {
  const host = /^(?:tcp|https?):\/\/([^/:]+|\[[^\]]+\])/.exec(address)?.[1];
  return host ?? '127.0.0.1';
}
