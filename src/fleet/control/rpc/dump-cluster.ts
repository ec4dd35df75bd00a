import { pipeline } from 'node:stream/promises';
import { setImmediate as turn } from 'node:timers/promises';
import { createGzip } from 'node:zlib';
import { create, toJson } from '@bufbuild/protobuf';
import { pack } from 'tar-stream';
import { ClusterSchema } from '#gen/cellar/fleet/v1/clusters_pb.ts';
import { type FleetEvent, FleetEventSchema } from '#gen/cellar/fleet/v1/common_pb.ts';
import { HostSchema } from '#gen/cellar/fleet/v1/hosts_pb.ts';
import { OperationSchema } from '#gen/cellar/fleet/v1/operations_pb.ts';
import { ClusterSnapshotSchema } from '#gen/cellar/fleet/v1/snapshots_pb.ts';
import { Fault, notFound } from '#kernel/fault.ts';
import type { MembersPlan } from '../../blueprints/logic/plan-members.ts';
import type { Driver, MemberUse, Sighting } from '../../driver/driver.ts';
import type { ControlParts } from '../logic/control-parts.ts';
import { createMask, masked } from '../logic/mask-secrets.ts';
import type { StoredCluster } from '../store/store.ts';
import { clusterMessage, hostMessage, operationMessage } from './messages.ts';
import { snapshotMessage } from './snapshots-controller.ts';

export interface DumpParts extends ControlParts {
  readonly planOf: (cluster: StoredCluster) => Promise<MembersPlan>;
  /** The last ones about a cluster, oldest first; `owner`: of the time in which it was theirs. */
  readonly eventsOf: (cluster: string, last: number, owner: string | undefined, signal: AbortSignal) => AsyncIterable<FleetEvent>;
  /** Of Cellar. */
  readonly version: string;
}

interface Missing {
  readonly file: string;
  readonly why: string;
}

const eventsMax = 1000;
const linesMax = 1000;
const logSizeBytesMax = 1024 * 1024;
const rowsMax = 100;
const askMs = 10_000;

/**
 * All that whoever helps with a cluster needs, as a tar archive (gzip) in pieces. One file after the other is made; what cannot be had is left out
 * and named in the last one, `dump.json`, with the reason. Everything goes through a mask that knows the cluster's secrets.
 * `isForOperator`: with the host's record, which others do not see.
 */
export async function* dumpCluster(
  parts: DumpParts,
  cluster: StoredCluster,
  isForOperator: boolean,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const archive = pack();
  const packed = createGzip();
  const packing = pipeline(archive as AsyncIterable<Uint8Array>, packed);
  // Whoever reads sees its failure.
  packing.catch(() => undefined);
  const filling = (async () => {
    for await (const { name, text } of filesOf(parts, cluster, isForOperator, signal)) {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      archive.entry({ name: `${cluster.name}/${name}`, mtime: new Date(parts.now()) }, text, (error) =>
        error ? reject(error) : resolve(),
      );
      await promise;
    }
    archive.finalize();
  })();
  filling.catch((error: unknown) => archive.destroy(error instanceof Error ? error : new Error(String(error))));
  try {
    for await (const piece of packed) yield piece as Uint8Array;
  } finally {
    archive.destroy();
    packed.destroy();
  }
}

async function* filesOf(
  parts: DumpParts,
  cluster: StoredCluster,
  isForOperator: boolean,
  signal: AbortSignal,
): AsyncGenerator<{ readonly name: string; readonly text: string }> {
  const { store, version, now } = parts;
  const mask = createMask(Object.values(cluster.secrets));
  const files: string[] = [];
  const missing: Missing[] = [];
  const json = (value: unknown): string => `${JSON.stringify(mask(value), undefined, 2)}\n`;

  /** One file, or the reason why there is none. */
  async function* file(name: string, make: (patience: AbortSignal) => Promise<string>) {
    try {
      const text = await make(AbortSignal.any([signal, AbortSignal.timeout(askMs)]));
      files.push(name);
      yield { name, text };
    } catch (error) {
      signal.throwIfAborted();
      const { message, hint } = Fault.from(error);
      missing.push(mask({ file: name, why: hint ? `${message}. ${hint}` : message }));
    }
    // Masking is work: others have their turn in between.
    await turn();
  }

  const { driver, sighting } = await look(parts, cluster, signal);
  yield* file('cluster.json', async () => {
    const { endpoints } = await parts.planOf(cluster);
    const members = 'members' in sighting ? { members: sighting.members } : {};
    const message = create(ClusterSchema, clusterMessage(cluster, { endpoints, ...members }));
    return json(toJson(ClusterSchema, message, { alwaysEmitImplicit: true }));
  });
  yield* file('record.json', async () => json({ ...cluster, secrets: Object.keys(cluster.secrets) }));
  if (isForOperator) {
    yield* file('host.json', async () => {
      const host = await store.host(cluster.host);
      if (!host) throw notFound(`There is no host "${cluster.host}"`);
      return json(toJson(HostSchema, create(HostSchema, hostMessage(host)), { alwaysEmitImplicit: true }));
    });
  } else missing.push({ file: 'host.json', why: 'Only operators see hosts' });
  yield* file('blueprint.yaml', async () => mask((await store.blueprintText(cluster.digest)) ?? ''));
  yield* file('plan.json', async () => {
    const { members, ...plan } = await parts.planOf(cluster);
    const shown = members.map((member) => ({
      ...member,
      files: member.files.map((one) => (one.secret ? { ...one, text: masked } : one)),
    }));
    return json({ ...plan, members: shown });
  });
  yield* file('events.jsonl', async (patience) => {
    const lines: string[] = [];
    for await (const event of parts.eventsOf(cluster.name, eventsMax, isForOperator ? undefined : cluster.owner, patience))
      lines.push(JSON.stringify(mask(toJson(FleetEventSchema, event))));
    return lines.map((line) => `${line}\n`).join('');
  });
  yield* file('operations.json', async () => {
    const rows = await store.operations({ kind: 'cluster', name: cluster.name }, undefined, rowsMax);
    const seen = rows.filter(({ about }) => isForOperator || about?.owner === cluster.owner);
    return json(seen.map((row) => toJson(OperationSchema, create(OperationSchema, operationMessage(row)))));
  });
  yield* file('snapshots.json', async () => {
    const rows = await store.snapshots(cluster.name, undefined, rowsMax);
    const seen = rows.filter(({ claim }) => isForOperator || (claim !== '' && claim === cluster.claim));
    return json(seen.map((row) => toJson(ClusterSnapshotSchema, create(ClusterSnapshotSchema, snapshotMessage(row)))));
  });
  const ref = { cluster: cluster.name, incarnation: cluster.incarnation };
  yield* file('sighting.json', async () => {
    if (sighting instanceof Fault) throw sighting;
    return json(sighting);
  });
  yield* file('stats.json', async (patience) => {
    if (sighting instanceof Fault) throw sighting;
    const used: MemberUse[] = [];
    for await (const members of driver.use(ref, false, patience)) used.push(...members);
    return json(used);
  });
  for (const { name } of cluster.members) {
    yield* file(`logs/${name}.log`, async (patience) => {
      if (sighting instanceof Fault) throw sighting;
      const request = { ...ref, member: name, isFollowing: false, tail: linesMax };
      return mask(await lastLines(driver.logs(request, patience)));
    });
  }
  const about = { format: 1, version, time: new Date(now()).toISOString(), cluster: cluster.name, files, missing };
  yield { name: 'dump.json', text: json(about) };
}

/** What its host says of it now. */
async function look(
  { driverOf }: DumpParts,
  { name, host }: StoredCluster,
  signal: AbortSignal,
): Promise<{ readonly driver: Driver; readonly sighting: Sighting | Fault }> {
  const driver = await driverOf(host);
  try {
    return { driver, sighting: await driver.observe(name, AbortSignal.any([signal, AbortSignal.timeout(askMs)])) };
  } catch (error) {
    signal.throwIfAborted();
    return { driver, sighting: Fault.from(error) };
  }
}

async function lastLines(lines: AsyncIterable<{ readonly timeMs: number; readonly text: string }>): Promise<string> {
  let kept = '';
  for await (const { timeMs, text } of lines) {
    const time = timeMs > 0 ? `${new Date(timeMs).toISOString()} ` : '';
    kept += `${time}${text.replace(/\n$/, '')}\n`;
    if (kept.length > 2 * logSizeBytesMax) kept = kept.slice(-logSizeBytesMax);
  }
  return kept.slice(-logSizeBytesMax);
}
