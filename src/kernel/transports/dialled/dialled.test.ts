import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { after, before, type TestContext, test } from 'node:test';
import { connect as tlsConnect } from 'node:tls';
import { Conformance } from '#gen/cellar/testing/v1/conformance_pb.ts';
import { serviceCaller } from '../../calls/caller.ts';
import type { Channel } from '../../calls/channel.ts';
import { createClient } from '../../calls/client.ts';
import { Endpoint } from '../../calls/endpoint.ts';
import { Fault, permissionDenied, unavailable } from '../../fault.ts';
import { createLog } from '../../log.ts';
import { temporaryFolder, until } from '../../testing/engines.ts';
import { type Ca, ensureCa, issueCertificate } from '../ca/ca.ts';
import { TlsIdentity, type TlsMaterial } from '../ca/tls.ts';
import { conformanceSuite } from '../conformance.suite.ts';
import { windowBytes } from '../local/credit.ts';
import { addConformance, conformanceService } from '../testing/conformance-service.ts';
import { startPeer } from '../testing/start-peer.ts';
import { type AcceptOptions, acceptDialled, type Dialled } from './accept.ts';
import { type DialOptions, keepDialled, replacedReason } from './dial.ts';

const folder = temporaryFolder();
const serverName = 'platform.test';
const backoff = { firstMs: 5, maxMs: 20 };
let ca: Ca;
let server: TlsIdentity;

before(async () => {
  ca = await ensureCa(`${folder.path}/ca`);
  server = new TlsIdentity(await issueCertificate(ca, { name: serverName, hosts: [], uses: ['server'] }));
});
after(() => folder[Symbol.dispose]());

const clientCertificate = (name: string, more: { days?: number; nowMs?: number } = {}): Promise<TlsMaterial> =>
  issueCertificate(ca, { name, hosts: [], uses: ['client'], ...more });

/** A side that is dialled, with all that has come in. */
async function accept(t: TestContext, options: Partial<AcceptOptions> = {}) {
  const came: Dialled[] = [];
  const acceptor = await acceptDialled({
    ...{ host: '127.0.0.1', port: 0, tls: server, log: createLog({ level: 'off', write: () => undefined }) },
    admit: async () => undefined,
    onDialled: (dialled) => void came.push(dialled),
    ...options,
  });
  t.after(() => acceptor.close());
  return { acceptor, came };
}

/** A side that dials and serves the conformance contract. */
function dial(t: TestContext, port: number, tls: TlsMaterial, options: Partial<DialOptions> = {}) {
  const endpoint = new Endpoint();
  addConformance(endpoint, () => assert.fail('not nested'));
  const stop = new AbortController();
  const whys: string[] = [];
  const lines: string[] = [];
  const ended = keepDialled({
    ...{ host: '127.0.0.1', port, serverName, endpoint, backoff, tls: () => tls, signal: stop.signal },
    log: createLog({ level: 'debug', write: (line) => void lines.push(line) }),
    onChange: ({ why }) => void whys.push(why),
    ...options,
  }).then(
    () => undefined,
    (error: unknown) => Fault.from(error),
  );
  const end = async (): Promise<Fault | undefined> => {
    stop.abort();
    return await ended;
  };
  t.after(end);
  return { whys, lines, ended, end };
}

const echo = async ({ channel }: Dialled, name: string): Promise<string> => {
  const route = () => ({ channel, service: conformanceService });
  return (await createClient(Conformance, { route, caller: serviceCaller('cellar.grpc.test') }).echo({ name })).name;
};
const latest = (came: readonly Dialled[]): Dialled => came.at(-1) ?? assert.fail('nobody came');

conformanceSuite({
  name: 'connections that the serving side dials, by mutual TLS',
  aheadMax: (2 * windowBytes) / (16 * 1024),
  async open(t, endpoint) {
    const { acceptor, came } = await accept(t);
    dial(t, acceptor.port, await clientCertificate('far'), { endpoint });
    await until(() => came.length > 0);
    return latest(came).channel;
  },
  async startPeer(t) {
    const { acceptor, came } = await accept(t);
    const peer = await startPeer(['dialled', String(acceptor.port), `${folder.path}/ca`, serverName]);
    t.after(() => peer.kill());
    await until(() => came.length > 0);
    const channel: Channel = {
      address: 'dialled',
      unary: (...call) => latest(came).channel.unary(...call),
      stream: (...call) => latest(came).channel.stream(...call),
      close: () => latest(came).channel.close(),
    };
    const restart = async (): Promise<void> => {
      const before = came.length;
      await peer.restart();
      await until(() => came.length > before);
    };
    return { channel, kill: peer.kill, restart };
  },
});

test('it dials again after the other side was away, and after each lost connection', async (t) => {
  const { acceptor, came } = await accept(t);
  const { port } = acceptor;
  dial(t, port, await clientCertificate('far'));
  await until(() => came.length === 1);
  assert.equal(await echo(latest(came), 'one'), 'one');
  await acceptor.close();
  assert.match((await latest(came).ended).message, /stopping/);
  await assert.rejects(echo(latest(came), 'one'), { code: 'unavailable' });
  const { came: again } = await accept(t, { port });
  await until(() => again.length === 1);
  assert.equal(latest(again).peer.name, 'far');
  assert.equal(await echo(latest(again), 'two'), 'two');
});

test('only certificates of the CA that are valid now get in', async (t) => {
  const refused: string[] = [];
  const log = createLog({ level: 'debug', write: (line) => void refused.push(line) });
  const { acceptor, came } = await accept(t, { log });
  const { port } = acceptor;
  const otherCa = await ensureCa(`${folder.path}/other`);
  const other = await issueCertificate(otherCa, { name: 'far', hosts: [], uses: ['client'] });
  const dayMs = 86_400_000;
  const cases: readonly (readonly [string, TlsMaterial, RegExp])[] = [
    ['of another CA', { ...other, ca: ca.trusted }, /is not one that this platform has issued/],
    ['expired', await clientCertificate('far', { days: 1, nowMs: Date.now() - 2 * dayMs }), /it has expired/],
    ['of a server', server.material, /does not take the certificate/],
  ];
  for (const [what, tls, why] of cases) {
    const { whys, end } = dial(t, port, tls);
    await until(() => whys.length > 0);
    assert.match(whys[0] ?? '', why, what);
    await end();
  }
  const bare = tlsConnect({ host: '127.0.0.1', port, ca: ca.trusted, servername: serverName });
  const said = await text(bare);
  assert.match(said, /certificate_refused/);
  assert.ok(!said.includes('PRIVATE KEY'));
  const plain = connect(port, '127.0.0.1');
  plain.end('CELLAR\n');
  plain.resume();
  await once(plain, 'close');
  assert.equal(came.length, 0);
  assert.ok(refused.length >= 4);
});

test('a platform of another CA, or with a client certificate for a name, is not served', async (t) => {
  const otherCa = await ensureCa(`${folder.path}/other`);
  const tls = new TlsIdentity(await issueCertificate(otherCa, { name: serverName, hosts: [], uses: ['server'] }));
  const thief = new TlsIdentity(await clientCertificate(serverName));
  for (const [identity, why] of [
    [tls, /not the platform/],
    [thief, /not the platform/],
  ] as const) {
    const { acceptor, came } = await accept(t, { tls: identity });
    const { whys } = dial(t, acceptor.port, await clientCertificate('far'));
    await until(() => whys.length > 0);
    assert.match(whys[0] ?? '', why);
    assert.equal(came.length, 0);
  }
});

test('who is refused is told why and tries again; who is dropped while it is let in does not get in', async (t) => {
  let gate = Promise.withResolvers<void>();
  let isWelcome = false;
  let asked = 0;
  const { acceptor, came } = await accept(t, {
    async admit({ name }) {
      asked++;
      if (!isWelcome) throw permissionDenied(`${name} is not welcome`, { reason: 'not_welcome' });
      await gate.promise;
    },
  });
  const { whys } = dial(t, acceptor.port, await clientCertificate('far'));
  await until(() => whys.length >= 2);
  assert.equal(whys[0], 'far is not welcome');
  isWelcome = true;
  const before = asked;
  await until(() => asked > before);
  acceptor.drop(({ name }) => name === 'far', unavailable('dropped', { reason: 'dropped' }));
  gate.resolve();
  await until(() => whys.includes('dropped'));
  assert.equal(came.length, 0);
  gate = Promise.withResolvers();
  gate.resolve();
  await until(() => came.length === 1);
  acceptor.drop(({ name }) => name === 'far', unavailable('dropped again', { reason: 'dropped' }));
  assert.equal((await latest(came).ended).message, 'dropped again');
  await until(() => whys.includes('dropped again'));
});

test('closing waits neither for a handshake that does not end nor for one that ends late', async (t) => {
  const gate = Promise.withResolvers<void>();
  let asked = 0;
  const { acceptor, came } = await accept(t, {
    async admit() {
      asked++;
      await gate.promise;
    },
  });
  const silent = connect(acceptor.port, '127.0.0.1');
  silent.on('error', () => undefined);
  await once(silent, 'connect');
  dial(t, acceptor.port, await clientCertificate('far'));
  await until(() => asked === 1);
  const closed = acceptor.close();
  gate.resolve();
  await closed;
  assert.equal(came.length, 0);
  silent.destroy();
});

test('who was replaced ends, since another serves in its place', async (t) => {
  const { acceptor, came } = await accept(t);
  const { ended } = dial(t, acceptor.port, await clientCertificate('far'));
  await until(() => came.length === 1);
  latest(came).goAway(unavailable('another has come', { reason: replacedReason }));
  assert.equal((await ended)?.message, 'another has come');
});

test('a network that swallows everything is noticed on both sides, idle or not, and left behind', async (t) => {
  const limits = { silenceMsMax: 1500 };
  const { acceptor, came } = await accept(t, { limits });
  // What goes through can be held back without either side being told.
  const open = new Set<Socket>();
  let isCut = false;
  const network = createServer((socket) => {
    const upstream = connect(acceptor.port, '127.0.0.1');
    for (const [from, to] of [
      [socket, upstream],
      [upstream, socket],
    ] as const) {
      open.add(from);
      from.on('data', (chunk) => void (isCut || to.write(chunk)));
      from.on('close', () => void (open.delete(from) && !isCut && to.destroy()));
      from.on('error', () => undefined);
    }
  });
  network.listen(0, '127.0.0.1');
  await once(network, 'listening');
  t.after(() => {
    network.close();
    for (const socket of open) socket.destroy();
  });
  const bound = network.address();
  assert.ok(bound !== null && typeof bound === 'object');
  const { whys } = dial(t, bound.port, await clientCertificate('far'), { limits });
  await until(() => came.length === 1);
  assert.equal(await echo(latest(came), 'through'), 'through');
  isCut = true;
  const call = assert.rejects(echo(latest(came), 'lost'), { code: 'unavailable' });
  assert.match((await latest(came).ended).message, /has said nothing/);
  await call;
  await until(() => whys.some((why) => /said nothing/.test(why)));
  isCut = false;
  await until(() => came.length > 1);
  assert.equal(await echo(latest(came), 'again'), 'again');
});

test('a renewed certificate of the accepting side is used for new connections', async (t) => {
  const identity = new TlsIdentity(server.material);
  const { acceptor, came } = await accept(t, { tls: identity });
  const next = await issueCertificate(ca, { name: serverName, hosts: [], uses: ['server'] });
  identity.renew(next);
  const tls = await clientCertificate('far');
  const socket = tlsConnect({ ...tls, host: '127.0.0.1', port: acceptor.port, servername: serverName });
  await once(socket, 'secureConnect');
  assert.equal(socket.getPeerX509Certificate()?.fingerprint256, fingerprint(next));
  socket.destroy();
  dial(t, acceptor.port, tls);
  await until(() => came.some(({ peer }) => peer.fingerprint === fingerprint(tls)));
});

const fingerprint = ({ cert }: TlsMaterial): string => new X509Certificate(cert).fingerprint256;
