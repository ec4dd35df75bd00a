import type { TestContext } from 'node:test';
import { Agents } from '#gen/cellar/fleet/v1/agents_pb.ts';
import { Blueprints } from '#gen/cellar/fleet/v1/blueprints_pb.ts';
import { Clusters } from '#gen/cellar/fleet/v1/clusters_pb.ts';
import { Engine } from '#gen/cellar/fleet/v1/engine_pb.ts';
import { Hosts } from '#gen/cellar/fleet/v1/hosts_pb.ts';
import { type Operation, Operation_State, Operations } from '#gen/cellar/fleet/v1/operations_pb.ts';
import { Snapshots } from '#gen/cellar/fleet/v1/snapshots_pb.ts';
import { Role } from '#gen/cellar/kernel/v1/options_pb.ts';
import type { Caller } from '#kernel/calls/caller.ts';
import { createLog, type Log, silentLog } from '#kernel/log.ts';
import { startTestPlatform, type TestPlatform } from '#kernel/testing/platform.ts';
import { fleetAgent } from '../agents/main.ts';
import { fleetControl } from '../control/main.ts';
import { fleetRelay } from '../relay/main.ts';

export const operator: Caller = { id: 'op', name: 'op', roles: [Role.USER, Role.ADMIN], scopes: ['*'], via: '' };
export const userNamed = (name: string): Caller => ({ id: name, name, roles: [Role.USER], scopes: ['*'], via: '' });

/** The real fleet services in one process. */
export interface FleetPlatform {
  readonly platform: TestPlatform;
  as(caller: Caller): FleetClients;
  /** Resolves when an operation has ended well. Errors: an `Error` with its message. */
  done(operation: Operation): Promise<void>;
}

export type FleetClients = ReturnType<typeof clientsOf>;

export interface FleetPlatformOptions {
  readonly home?: string;
  /** Default: SQLite in the home. */
  readonly databaseUrl?: string;
  readonly settings?: Readonly<Record<string, unknown>>;
  /** Where agents dial in, `host:port`. Default: none can. */
  readonly listen?: string;
  readonly log?: Log;
  readonly clock?: { now(): number };
  /** Instead of the agent there is. */
  readonly agent?: typeof fleetAgent;
}

export async function startFleet(t: TestContext, options: FleetPlatformOptions = {}): Promise<FleetPlatform> {
  const level = process.env['CELLAR_TEST_LOG'];
  const log =
    options.log ?? (level ? createLog({ level: 'debug', write: (line) => void process.stderr.write(line) }) : silentLog);
  const definitions = [options.agent ?? fleetAgent, fleetControl, ...(options.listen ? [fleetRelay] : [])];
  const instances = definitions.map((definition) => ({ definition, instance: '', plan: undefined }));
  const platform = await startTestPlatform(instances, {
    log,
    ...(options.clock ? { clock: options.clock } : {}),
    ...(options.home ? { home: options.home } : {}),
    ...(options.databaseUrl ? { databaseUrl: options.databaseUrl } : {}),
    settings: {
      [fleetControl.name]: { lookSeconds: 1, ...options.settings },
      [fleetRelay.name]: { listen: options.listen ?? '', silenceSeconds: 2 },
    },
  });
  t.after(async () => {
    try {
      await removeAll(platform, AbortSignal.timeout(removeMs));
    } finally {
      await platform.stop();
    }
  });
  const as = (caller: Caller) => clientsOf(platform, caller);
  return {
    platform,
    as,
    async done({ id }) {
      for await (const { state, message, verb, name } of as(operator).operations.watchOperation({ id })) {
        if (state === Operation_State.DONE) return;
        if (state !== Operation_State.RUNNING) throw new Error(`${verb} of ${name} has failed: ${message}`);
      }
    },
  };
}

const clientsOf = (platform: TestPlatform, caller: Caller) => ({
  hosts: platform.client(Hosts, caller),
  clusters: platform.client(Clusters, caller),
  engine: platform.client(Engine, caller),
  operations: platform.client(Operations, caller),
  agents: platform.client(Agents, caller),
  blueprints: platform.client(Blueprints, caller),
  snapshots: platform.client(Snapshots, caller),
});

/** A test that has failed may leave engines that answer nobody. */
const removeMs = 60_000;

/** Ends what a test has left running, in whatever state it is: local members would outlive it. */
async function removeAll(platform: TestPlatform, signal: AbortSignal): Promise<void> {
  const { hosts, operations } = clientsOf(platform, operator);
  for (const { name } of (await hosts.listHosts({}, { signal })).hosts) {
    const { id } = await hosts.deleteHost({ name, force: true }, { signal });
    for await (const { state } of operations.watchOperation({ id }, { signal })) if (state !== Operation_State.RUNNING) break;
  }
}
