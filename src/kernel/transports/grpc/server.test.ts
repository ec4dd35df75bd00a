import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect as connectHttp2 } from 'node:http2';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { Conformance } from '#gen/cellar/testing/v1/conformance_pb.ts';
import { serviceCaller } from '../../calls/caller.ts';
import { createClient } from '../../calls/client.ts';
import { createDirectChannel } from '../../calls/direct.ts';
import { Endpoint } from '../../calls/endpoint.ts';
import { Code, Fault } from '../../fault.ts';
import { temporaryFolder } from '../../testing/engines.ts';
import { type Ca, ensureCa, issueBundle, issueCertificate } from '../ca/ca.ts';
import { TlsIdentity } from '../ca/tls.ts';
import { addConformance, conformanceService } from '../testing/conformance-service.ts';
import { createGrpcChannel } from './channel.ts';
import { type GrpcServer, serveGrpc } from './server.ts';

interface Setup {
  readonly folder: string;
  readonly ca: Ca;
  readonly tls: TlsIdentity;
  readonly endpoint: Endpoint;
  readonly server: GrpcServer;
}

async function start(t: TestContext): Promise<Setup> {
  const folder = temporaryFolder();
  const ca = await ensureCa(join(folder.path, 'ca'));
  const tls = new TlsIdentity(await issueCertificate(ca, { name: 'one', hosts: ['127.0.0.1'] }));
  const endpoint = new Endpoint();
  addConformance(endpoint, () => ({ channel: createDirectChannel(endpoint), service: conformanceService }));
  const server = await serveGrpc(endpoint, { host: '127.0.0.1', port: 0, tls });
  t.after(async () => {
    await server.close(AbortSignal.abort());
    folder[Symbol.dispose]();
  });
  return { folder: folder.path, ca, tls, endpoint, server };
}

function clientOf(t: TestContext, port: number, tls: TlsIdentity) {
  const channel = createGrpcChannel({ host: '127.0.0.1', port, tls });
  t.after(() => channel.close());
  return createClient(Conformance, {
    route: () => ({ channel, service: conformanceService }),
    caller: serviceCaller('cellar.grpc.testing.client'),
  });
}

const isUnavailable = (error: unknown): boolean => error instanceof Fault && error.code === Code.Unavailable;

test('a peer without a certificate, or with one of another CA, gets nothing', async (t) => {
  const { folder, ca, server } = await start(t);
  const otherCa = await ensureCa(join(folder, 'other'));
  const foreign = await issueCertificate(otherCa, { name: 'one', hosts: ['127.0.0.1'] });
  // It trusts our CA and is not trusted by it.
  await assert.rejects(clientOf(t, server.port, new TlsIdentity({ ...foreign, ca: ca.trusted })).echo({}), isUnavailable);
  // It does not trust us.
  const ours = await issueCertificate(ca, { name: 'two', hosts: [] });
  await assert.rejects(clientOf(t, server.port, new TlsIdentity({ ...ours, ca: otherCa.trusted })).echo({}), isUnavailable);

  const plain = connectHttp2(`http://127.0.0.1:${server.port}`);
  plain.on('error', () => undefined);
  await new Promise((resolve) => plain.on('close', resolve));
  const naked = connectTls({ port: server.port, host: '127.0.0.1', ca: ca.trusted, ALPNProtocols: ['h2'] });
  naked.resume();
  await assert.rejects(once(naked, 'end'), { code: 'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED' });
});

test('a server whose certificate is for another host is refused', async (t) => {
  const { ca, endpoint, tls } = await start(t);
  const elsewhere = new TlsIdentity(await issueCertificate(ca, { name: 'three', hosts: ['192.0.2.1'] }));
  const server = await serveGrpc(endpoint, { host: '127.0.0.1', port: 0, tls: elsewhere });
  t.after(() => server.close(AbortSignal.abort()));
  await assert.rejects(clientOf(t, server.port, tls).echo({}), isUnavailable);
});

test('a renewed certificate is used without a restart', async (t) => {
  const { ca, tls, server } = await start(t);
  const client = clientOf(t, server.port, tls);
  await client.echo({});
  const renewed = await issueCertificate(ca, { name: 'renewed', hosts: ['127.0.0.1'] });
  tls.renew(renewed);
  const socket = connectTls({ port: server.port, host: '127.0.0.1', ...renewed, ALPNProtocols: ['h2'] });
  await once(socket, 'secureConnect');
  assert.equal(socket.getPeerX509Certificate()?.subject, 'CN=renewed');
  socket.destroy();
  assert.equal((await client.echo({ number: 2n })).number, 2n);
});

test('a service added after the server began is served', async (t) => {
  const { folder } = await start(t);
  const endpoint = new Endpoint();
  const ca = await ensureCa(join(folder, 'ca'));
  const tls = new TlsIdentity(await issueCertificate(ca, { name: 'late', hosts: ['127.0.0.1'] }));
  const server = await serveGrpc(endpoint, { host: '127.0.0.1', port: 0, tls });
  t.after(() => server.close(AbortSignal.abort()));
  const client = clientOf(t, server.port, tls);
  await assert.rejects(client.echo({}), (error) => error instanceof Fault && error.reason === 'not_running');
  addConformance(endpoint, () => assert.fail('not nested'));
  assert.equal((await client.echo({ number: 3n })).number, 3n);
});

test('a port in use is a clear fault', async (t) => {
  const { server, tls } = await start(t);
  await assert.rejects(
    serveGrpc(new Endpoint(), { host: '127.0.0.1', port: server.port, tls }),
    (error) => error instanceof Fault && error.code === Code.FailedPrecondition && error.message.includes(String(server.port)),
  );
});

const python = '/usr/bin/python3';

function pythonMissing(): string | undefined {
  if (spawnSync(python, ['-c', 'import grpc, google.protobuf']).status === 0) return undefined;
  const reason = `${python} has no grpc module; enable with: apt-get install python3-grpcio python3-protobuf`;
  if (process.env['CI']) throw new Error(reason);
  return reason;
}

test('a client in another language finds and calls services', { skip: pythonMissing() ?? false, timeout: 30_000 }, async (t) => {
  const { folder, ca, server } = await start(t);
  const caPath = join(folder, 'trusted.pem');
  const bundlePath = join(folder, 'bundle.pem');
  writeFileSync(caPath, ca.trusted);
  writeFileSync(bundlePath, await issueBundle(ca, { name: 'cellar.python', hosts: [] }), { mode: 0o600 });
  const child = spawn(python, [join(import.meta.dirname, 'python-client.py'), `127.0.0.1:${server.port}`, caPath, bundlePath], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  t.after(() => void child.kill());
  const [out, errors] = await Promise.all([text(child.stdout), text(child.stderr)]);
  assert.ok(out !== '', errors);
  const services = [
    'cellar.testing.v1.Conformance',
    'grpc.health.v1.Health',
    'grpc.reflection.v1.ServerReflection',
    'grpc.reflection.v1alpha.ServerReflection',
  ];
  assert.deepEqual(JSON.parse(out), {
    health: 1,
    healthOfContract: 1,
    healthOfNone: 'NOT_FOUND',
    services: { v1: services, v1alpha: services },
    methods: ['AdminOnly', 'Chat', 'Count', 'Describe', 'Echo', 'Fail', 'Sum', 'Wait'],
    echoed: ['Grüße', -5, [0, 255]],
    counted: [1, 2, 3],
    summed: 3,
    chatted: ['got'],
    // It states no caller, so it is who its certificate says.
    caller: ['cellar.python', ['*']],
    refused: [
      'PERMISSION_DENIED',
      'Cannot call cellar.testing.v1.Conformance/AdminOnly: cellar.python does not have the role it needs',
    ],
  });
});
