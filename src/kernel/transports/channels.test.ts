import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { Conformance } from '#gen/cellar/testing/v1/conformance_pb.ts';
import { serviceCaller } from '../calls/caller.ts';
import { createClient } from '../calls/client.ts';
import { Endpoint } from '../calls/endpoint.ts';
import { Code, Fault } from '../fault.ts';
import { silentLog } from '../log.ts';
import { type Address, Registry, ServiceState } from '../services/registry.ts';
import { temporaryFolder } from '../testing/engines.ts';
import { ensureCa, issueCertificate } from './ca/ca.ts';
import { TlsIdentity } from './ca/tls.ts';
import { createChannels } from './channels.ts';
import { Circuit, unreachable } from './circuit.ts';
import { serveGrpc } from './grpc/server.ts';
import { serveLocal } from './local/server.ts';
import { createRetry, RetryBudget } from './retry-budget.ts';
import { addConformance, conformanceService } from './testing/conformance-service.ts';

function registered(registry: Registry, address: Address): void {
  registry.set({
    service: conformanceService,
    contracts: [Conformance.typeName],
    plan: undefined,
    address,
    http: undefined,
    state: ServiceState.Ready,
    reason: '',
    machine: 'here',
    pid: process.pid,
    restarts: 0,
    startTimeMs: 0,
  });
}

test('one channel per address, of the right kind, closed when nobody has the address any more', async (t) => {
  using folder = temporaryFolder();
  const endpoint = new Endpoint();
  addConformance(endpoint, () => assert.fail('not nested'));
  const ca = await ensureCa(folder.path);
  const tls = new TlsIdentity(await issueCertificate(ca, { name: 'here', hosts: ['127.0.0.1'] }));
  const path = join(folder.path, 's.sock');
  const local = await serveLocal(endpoint, { path });
  const grpc = await serveGrpc(endpoint, { host: '127.0.0.1', port: 0, tls });
  const registry = new Registry();
  const channels = createChannels({ endpoint: new Endpoint(), tls, registry, log: silentLog });
  t.after(async () => {
    await channels.close();
    await Promise.all([local.close(AbortSignal.abort()), grpc.close(AbortSignal.abort())]);
  });
  for (const address of [
    { kind: 'local', path },
    { kind: 'grpc', host: '127.0.0.1', port: grpc.port },
  ] as const) {
    registered(registry, address);
    const channel = channels.to(address);
    assert.equal(channels.to({ ...address }), channel);
    const client = createClient(Conformance, {
      route: () => ({ channel, service: conformanceService }),
      caller: serviceCaller('cellar.grpc.testing.client'),
    });
    assert.equal((await client.echo({ number: 4n })).number, 4n);
    registry.remove(conformanceService);
    await assert.rejects(client.echo({}), (error) => error instanceof Fault && error.reason === 'closed');
    assert.notEqual(channels.to(address), channel);
  }
});

test('another machine is not called without a certificate', () => {
  const channels = createChannels({ endpoint: new Endpoint(), log: silentLog });
  assert.throws(
    () => channels.to({ kind: 'grpc', host: '192.0.2.1', port: 1 }),
    (error) => error instanceof Fault && error.code === Code.FailedPrecondition,
  );
});

test('a circuit opens for longer with every failure, lets one attempt through, and closes with a success', () => {
  let nowMs = 0;
  const circuit = new Circuit({ pauseMs: 10, pauseMsMax: 35, now: () => nowMs });
  const pauses: (number | undefined)[] = [];
  assert.equal(circuit.fault(), undefined);
  for (let failure = 0; failure < 4; failure++) {
    circuit.failed(unreachable('unix:/x', 'it is away'));
    const fault = circuit.fault();
    assert.equal(fault?.code, Code.Unavailable);
    pauses.push(fault?.retryAfterMs);
    nowMs += fault?.retryAfterMs ?? 0;
    assert.equal(circuit.fault(), undefined);
  }
  assert.deepEqual(pauses, [10, 20, 35, 35]);
  circuit.failed(unreachable('unix:/x', 'it is away'));
  circuit.succeeded();
  assert.equal(circuit.fault(), undefined);
});

test('a retry budget is used up, and fills with time', () => {
  let nowMs = 0;
  const budget = new RetryBudget({ tokensMax: 3, tokensPerSecond: 10, now: () => nowMs });
  assert.deepEqual([budget.take(), budget.take(), budget.take(), budget.take()], [true, true, true, false]);
  nowMs += 100;
  assert.deepEqual([budget.take(), budget.take()], [true, false]);
  nowMs += 60_000;
  assert.deepEqual([budget.take(), budget.take(), budget.take(), budget.take()], [true, true, true, false]);
});

test('idempotent calls are repeated over a restart of their peer, others are not', async (t) => {
  using folder = temporaryFolder();
  const path = join(folder.path, 's.sock');
  const endpoint = new Endpoint();
  const { dispatcher } = addConformance(endpoint, () => assert.fail('not nested'));
  endpoint.remove(dispatcher.service);
  const local = await serveLocal(endpoint, { path });
  const channels = createChannels({ endpoint: new Endpoint(), log: silentLog });
  t.after(async () => {
    await channels.close();
    await local.close(AbortSignal.abort());
  });
  let routes = 0;
  const client = createClient(Conformance, {
    caller: serviceCaller('cellar.grpc.testing.client'),
    retry: createRetry(),
    route: () => {
      routes++;
      // Back at the third attempt.
      if (routes === 3) endpoint.add(dispatcher);
      return { channel: channels.to({ kind: 'local', path }), service: conformanceService };
    },
  });
  await assert.rejects(client.describe({}), (error) => error instanceof Fault && error.reason === 'not_running');
  assert.equal(routes, 1);
  assert.equal((await client.echo({ number: 3n })).number, 3n);
  assert.equal(routes, 3);
  const wait = createRetry().wait(10_000, AbortSignal.abort(new Fault(Code.Aborted, 'enough')));
  await assert.rejects(wait, /enough/);
});
