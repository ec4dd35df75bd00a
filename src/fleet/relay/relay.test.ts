import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Agent } from '#gen/cellar/fleet/v1/agent_pb.ts';
import { Agents, Introduction, Renewal } from '#gen/cellar/fleet/v1/agents_pb.ts';
import { AgentType, HostStatus_State } from '#gen/cellar/fleet/v1/hosts_pb.ts';
import { serviceCaller } from '#kernel/calls/caller.ts';
import { readContract } from '#kernel/calls/contract.ts';
import { type Binding, Dispatcher, implement } from '#kernel/calls/dispatcher.ts';
import { Endpoint } from '#kernel/calls/endpoint.ts';
import { Fault } from '#kernel/fault.ts';
import { silentLog } from '#kernel/log.ts';
import { freePort, temporaryFolder, until } from '#kernel/testing/engines.ts';
import { startTestPlatform } from '#kernel/testing/platform.ts';
import { expiryMs, parseBundle } from '#kernel/transports/ca/ca.ts';
import { keepDialled } from '#kernel/transports/dialled/dial.ts';
import { runAgent } from '#platform/run-agent.ts';
import { catalogue } from '../../catalogue.ts';
import { fleetAgent } from '../agents/main.ts';
import { agentService, relayService } from '../common/services.ts';
import { type FleetPlatform, operator, startFleet } from '../testing/fleet-platform.ts';
import { fleetRelay } from './main.ts';

const service = serviceCaller('cellar.grpc.fleet.control');

async function start(t: TestContext, clock: { now(): number } = Date): Promise<{ fleet: FleetPlatform; port: number }> {
  const port = await freePort();
  return { fleet: await startFleet(t, { listen: `127.0.0.1:${port}`, clock }), port };
}

const enrol = async ({ as }: FleetPlatform, host: string): Promise<string> =>
  (await as(operator).agents.enrolAgent({ host })).bundle;

/** An agent as `cellar agent run` has it, in this process. */
async function run(t: TestContext, port: number, bundle: string) {
  const folder = temporaryFolder();
  const path = join(folder.path, 'bundle.pem');
  await writeFile(path, bundle, { mode: 0o600 });
  const stop = new AbortController();
  const whys: string[] = [];
  const ended = runAgent({
    ...{ home: join(folder.path, 'home'), catalogue, service: agentService, environment: {} },
    ...{ platform: `127.0.0.1:${port}`, bundle: path, signal: stop.signal },
    onChange: ({ why }) => void whys.push(why),
  }).then(
    () => undefined,
    (error: unknown) => Fault.from(error),
  );
  const end = async (): Promise<void> => {
    stop.abort();
    await ended;
  };
  t.after(async () => {
    await end();
    folder[Symbol.dispose]();
  });
  return { whys, ended, end, path };
}

/** An agent with bindings of the test's own. */
function dial(t: TestContext, port: number, bundle: string, bindings: readonly Binding[]): void {
  const endpoint = new Endpoint();
  endpoint.add(new Dispatcher(bindings, { service: agentService, log: silentLog }));
  const stop = new AbortController();
  const tls = () => parseBundle(bundle, 'bundle');
  const options = { host: '127.0.0.1', port, tls, endpoint, log: silentLog, backoff: { firstMs: 10, maxMs: 50 } };
  const ended = keepDialled({ ...options, signal: stop.signal }).catch(() => undefined);
  t.after(async () => {
    stop.abort();
    await ended;
  });
}

const isConnected = async ({ as }: FleetPlatform, host: string): Promise<boolean> =>
  (await as(operator).agents.getAgent({ host })).connected;

/** Simulated members live in the process of their agent. */
const spec = { type: AgentType.SIMULATED, address: 'far', capacity: 2, remoteAgent: true, templates: [{ blueprint: 'evm-dev' }] };

test('a host whose agent dials in: added when it is there, filled, given out, away and back, deleted', async (t) => {
  const { fleet, port } = await start(t);
  const { hosts, agents, engine, operations } = fleet.as(operator);
  const add = () => hosts.createHost({ host: { name: 'far', spec } });
  await assert.rejects(add(), { reason: 'engine_unreachable', message: /No agent is enrolled/ });
  const bundle = await enrol(fleet, 'far');
  await assert.rejects(add(), { reason: 'engine_unreachable', message: /is not connected/ });
  assert.equal((await hosts.listHosts({})).hosts.length, 0);

  const agent = await run(t, port, bundle);
  await until(() => isConnected(fleet, 'far'));
  await add();
  await fleet.done(await hosts.fillupHost({ name: 'far' }));
  const claim = await engine.apply({ blueprint: 'evm-dev', parameters: {} });
  assert.equal(claim.cluster?.host, 'far');
  const { status } = await hosts.getHost({ name: 'far', probe: true });
  assert.deepEqual([status?.state, status?.clusters], [HostStatus_State.ACTIVE, 2]);
  assert.deepEqual([status?.agent?.connected, status?.agent?.missingMethods], [true, []]);
  assert.match(status?.agent?.version ?? '', /^\d+\.\d+/);
  assert.equal((await hosts.listHosts({})).hosts[0]?.status?.agent?.host, 'far');

  await agent.end();
  const state = async () => (await hosts.getHost({ name: 'far' })).status;
  await until(async () => (await state())?.state === HostStatus_State.UNREACHABLE, 20_000);
  const unreachable = await state();
  assert.equal(unreachable?.conditions[0]?.reason, 'engine_unreachable');
  assert.match(unreachable?.conditions[0]?.message ?? '', /agent of host "far" is not connected/);
  assert.equal(unreachable?.agent?.connected, false);
  await run(t, port, bundle);
  await until(async () => (await state())?.state === HostStatus_State.ACTIVE, 20_000);

  const other = hosts.updateHost({
    host: { name: 'far', spec: { remoteAgent: false } },
    updateMask: { paths: ['remote_agent'] },
  });
  await assert.rejects(other, { reason: 'field_fixed' });
  const deletion = await hosts.deleteHost({ name: 'far', force: true });
  for await (const _ of operations.watchOperation({ id: deletion.id }));
  await until(async () => (await hosts.listHosts({})).hosts.length === 0, 20_000);
  await assert.rejects(agents.getAgent({ host: 'far' }), { reason: 'agent_missing' });
});

test('what was revoked or replaced is refused at once, and the next bundle serves', async (t) => {
  const { fleet, port } = await start(t);
  const { agents } = fleet.as(operator);
  const first = await run(t, port, await enrol(fleet, 'far'));
  await until(() => isConnected(fleet, 'far'));
  const second = await enrol(fleet, 'far');
  await until(() => first.whys.some((why) => /revoked or replaced/.test(why)));
  assert.equal(await isConnected(fleet, 'far'), false);
  // It reads its bundle anew for each connection.
  await writeFile(first.path, second);
  await until(() => isConnected(fleet, 'far'));
  await agents.revokeAgent({ host: 'far' });
  await until(() => first.whys.filter((why) => /revoked or replaced/.test(why)).length >= 2);
  await assert.rejects(agents.getAgent({ host: 'far' }), { reason: 'agent_missing' });
  assert.deepEqual((await agents.listAgents({})).agents, []);
});

test('of two agents of one host the newer one serves, and the older one ends', async (t) => {
  const { fleet, port } = await start(t);
  const bundle = await enrol(fleet, 'far');
  const older = await run(t, port, bundle);
  await until(() => isConnected(fleet, 'far'));
  const newer = await run(t, port, bundle);
  const fault = await older.ended;
  assert.deepEqual([fault?.reason, newer.whys], ['connection_replaced', ['']]);
  assert.match(fault?.message ?? '', /Another agent has connected for host "far"/);
  assert.equal(await isConnected(fleet, 'far'), true);
});

test('an agent is asked for its own host only, and refuses others itself', async (t) => {
  const { fleet, port } = await start(t);
  await run(t, port, await enrol(fleet, 'a'));
  await enrol(fleet, 'b');
  await until(() => isConnected(fleet, 'a'));
  const relay = fleet.platform.client(Agent, service, relayService);
  const engine = (host: string) => ({ engine: { host, type: AgentType.SIMULATED, address: 'x', fleet: 'f' } });
  assert.equal((await relay.observe(engine('a'))).members.length, 0);
  await assert.rejects(relay.observe(engine('b')), { code: 'unavailable', reason: 'engine_unreachable' });
  const instance = { definition: fleetAgent, instance: '', plan: { host: 'a' } };
  await using own = await startTestPlatform([instance]);
  const direct = own.client(Agent, service);
  assert.equal((await direct.observe(engine('a'))).members.length, 0);
  await assert.rejects(direct.observe(engine('b')), { code: 'permission_denied', reason: 'host_not_served' });
  await assert.rejects(own.client(Introduction, service).introduceAgent({ host: 'b' }), { reason: 'host_not_served' });
});

test('an older agent says what it has; the rest is unimplemented', async (t) => {
  const { fleet, port } = await start(t);
  const contract = readContract(Agent);
  const methods = contract.methods.filter(({ desc }) => desc.localName === 'observe');
  const observe = {
    contract: { ...contract, methods },
    handlers: new Map(methods.map(({ name }) => [name, () => ({ members: [] })])),
  };
  const introduceAgent = () => ({ version: '0.0.9', methods: methods.map(({ name }) => name) });
  dial(t, port, await enrol(fleet, 'old'), [observe, implement(Introduction, { introduceAgent })]);
  // From before there was an introduction.
  dial(t, port, await enrol(fleet, 'older'), [observe]);
  await until(async () => (await isConnected(fleet, 'old')) && (await isConnected(fleet, 'older')));
  const relay = fleet.platform.client(Agent, service, relayService);
  const engine = (host: string) => ({ engine: { host, type: AgentType.SIMULATED, fleet: 'f' } });
  for (const host of ['old', 'older']) {
    assert.deepEqual((await relay.observe(engine(host))).members, []);
    await assert.rejects(relay.probeEngine(engine(host)), { code: 'unimplemented' });
  }
  await assert.rejects(relay.probeEngine(engine('old')), { reason: 'agent_too_old', message: /of version 0\.0\.9/ });
  const { agents } = await fleet.as(operator).agents.listAgents({});
  assert.deepEqual(
    agents.map(({ host, version, missingMethods }) => [host, version, missingMethods.length]),
    [
      ['old', '0.0.9', contract.methods.length - 1],
      ['older', 'unknown', 0],
    ],
  );
});

test('deadlines, cancellation and streams both ways go through', async (t) => {
  const { fleet, port } = await start(t);
  const contract = readContract(Agent);
  const cancelled: string[] = [];
  const hangs = Promise.withResolvers<never>();
  let loaded = 0;
  const handlers: Record<string, (request: never, call: { readonly signal: AbortSignal }) => unknown> = {
    observe: (_, { signal }) => {
      signal.addEventListener('abort', () => cancelled.push('observe'));
      return hangs.promise;
    },
    readLogs: async function* (_, { signal }) {
      signal.addEventListener('abort', () => cancelled.push('readLogs'));
      for (let line = 0; ; line++) yield { member: 'm', text: `${line}` };
    },
    loadVolume: async (requests: AsyncIterable<unknown>) => {
      for await (const _ of requests) loaded++;
      return {};
    },
  };
  const named = contract.methods.filter(({ desc }) => desc.localName in handlers);
  const binding = {
    contract: { ...contract, methods: named },
    handlers: new Map(named.map(({ name, desc }) => [name, handlers[desc.localName] as () => unknown])),
  };
  dial(t, port, await enrol(fleet, 'far'), [binding]);
  await until(() => isConnected(fleet, 'far'));
  const relay = fleet.platform.client(Agent, service, relayService);
  const engine = { host: 'far', type: AgentType.SIMULATED, fleet: 'f' };
  await assert.rejects(relay.observe({ engine }, { timeoutMs: 100 }), { code: 'deadline_exceeded' });
  await until(() => cancelled.includes('observe'));
  const lines: string[] = [];
  for await (const { text } of relay.readLogs({ engine, cluster: 'c' })) if (lines.push(text) === 1000) break;
  assert.equal(lines.at(-1), '999');
  await until(() => cancelled.includes('readLogs'));
  const target = { engine, cluster: 'c', incarnation: 1, member: 'm', volume: 'v' };
  const parts = (async function* () {
    for (let at = 0; at < 64; at++) yield { ...(at === 0 ? { target } : {}), data: new Uint8Array(64 * 1024) };
  })();
  await relay.loadVolume(parts);
  assert.equal(loaded, 64);
  await fleet.as(operator).agents.revokeAgent({ host: 'far' });
  await assert.rejects(relay.observe({ engine }), { code: 'unavailable', reason: 'engine_unreachable' });
});

test('without a place to listen nobody is enrolled', async () => {
  await using relay = await startTestPlatform([{ definition: fleetRelay, instance: '', plan: undefined }]);
  await assert.rejects(relay.client(Agents, operator).enrolAgent({ host: 'far' }), { reason: 'agents_not_listening' });
});

const dayMs = 86_400_000;

/** A platform whose clock is behind by two and a half days when it enrols, for three. */
async function startBehind(t: TestContext) {
  const clock = { behindMs: 2.5 * dayMs, now: () => Date.now() - clock.behindMs };
  const { fleet, port } = await start(t, clock);
  const { bundle } = await fleet.as(operator).agents.enrolAgent({ host: 'far', days: 3 });
  const leftDays = async (): Promise<number> => {
    const { expireTime } = await fleet.as(operator).agents.getAgent({ host: 'far' });
    return Number(expireTime?.seconds ?? 0) / 86_400 - Date.now() / dayMs;
  };
  return { fleet, port, bundle, clock, leftDays };
}

test('an agent is given a new certificate in time, for a key that it keeps; the old one counts until it comes with the new one', async (t) => {
  const { fleet, port, bundle, clock, leftDays } = await startBehind(t);
  const early = await run(t, port, bundle);
  await until(() => isConnected(fleet, 'far'));
  await early.end();
  assert.equal(await readFile(early.path, 'utf8'), bundle, 'it was not due');
  assert.ok((await leftDays()) < 0.6);

  clock.behindMs = 0;
  const late = await run(t, port, bundle);
  await until(async () => (await leftDays()) > 2.9);
  assert.equal(await isConnected(fleet, 'far'), true, 'the connection goes on');
  const renewed = await readFile(late.path, 'utf8');
  const [before, after] = [parseBundle(bundle, 'before'), parseBundle(renewed, 'after')];
  assert.ok(expiryMs(after) - Date.now() > 2.9 * dayMs && after.key !== before.key);
  assert.equal((await stat(late.path)).mode & 0o777, 0o600);
  await late.end();

  const old = await run(t, port, bundle);
  await until(() => isConnected(fleet, 'far'));
  await old.end();
  const next = await run(t, port, renewed);
  await until(() => isConnected(fleet, 'far'));
  assert.equal(await readFile(next.path, 'utf8'), renewed, 'it is not due again');
  await next.end();
  const gone = await run(t, port, bundle);
  await until(() => gone.whys.some((why) => /revoked or replaced/.test(why)));
  await gone.end();
});

test('an answer that was lost locks nobody out, and revoking takes renewed certificates too', async (t) => {
  const { fleet, port, bundle, clock, leftDays } = await startBehind(t);
  clock.behindMs = 0;
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const taken = Promise.withResolvers<string>();
  dial(t, port, bundle, [
    implement(Introduction, { introduceAgent: () => ({ version: 'x', methods: [] }) }),
    implement(Renewal, {
      offerKey: () => ({ publicKey: publicKey.export({ type: 'spki', format: 'pem' }).toString() }),
      takeCertificate({ certificate, ca }) {
        taken.resolve(`${privateKey.export({ type: 'pkcs8', format: 'pem' })}${certificate}${ca}`);
        throw new Fault('unavailable', 'The answer is lost');
      },
    }),
  ]);
  const renewed = await taken.promise;
  assert.ok((await leftDays()) < 0.6, 'what was not answered counts as not taken');
  const agent = await run(t, port, renewed);
  await until(async () => (await isConnected(fleet, 'far')) && (await leftDays()) > 2.9);
  await fleet.as(operator).agents.revokeAgent({ host: 'far' });
  await until(() => agent.whys.some((why) => /revoked or replaced/.test(why)));
});

test('a key of another curve gets no certificate', async (t) => {
  const { fleet, port, bundle, clock, leftDays } = await startBehind(t);
  clock.behindMs = 0;
  const offered: string[] = [];
  const keyOf = (curve: string): string => {
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: curve });
    return publicKey.export({ type: 'spki', format: 'pem' }).toString();
  };
  dial(t, port, bundle, [
    implement(Introduction, { introduceAgent: () => ({ version: 'x', methods: [] }) }),
    implement(Renewal, {
      offerKey: () => ({ publicKey: offered[offered.push(keyOf('P-384')) - 1] ?? '' }),
      takeCertificate: () => assert.fail('there is no certificate to take'),
    }),
  ]);
  await until(async () => offered.length > 0 && (await isConnected(fleet, 'far')));
  assert.ok((await leftDays()) < 0.6);
});
