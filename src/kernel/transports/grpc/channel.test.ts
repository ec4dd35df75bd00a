import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { after, before } from 'node:test';
import { temporaryFolder } from '../../testing/engines.ts';
import { type Ca, ensureCa, issueCertificate } from '../ca/ca.ts';
import { TlsIdentity } from '../ca/tls.ts';
import { conformanceSuite } from '../conformance.suite.ts';
import { startPeer } from '../testing/start-peer.ts';
import { createGrpcChannel } from './channel.ts';
import { serveGrpc } from './server.ts';

const folder = temporaryFolder();
let ca: Ca;
let tls: TlsIdentity;

before(async () => {
  ca = await ensureCa(folder.path);
  tls = new TlsIdentity(await issueCertificate(ca, { name: 'test', hosts: ['127.0.0.1'] }));
});
after(() => folder[Symbol.dispose]());

conformanceSuite({
  name: 'gRPC with mutual TLS',
  aheadMax: 64,
  async open(t, endpoint) {
    const server = await serveGrpc(endpoint, { host: '127.0.0.1', port: 0, tls });
    const channel = createGrpcChannel({ host: '127.0.0.1', port: server.port, tls });
    t.after(async () => {
      await channel.close();
      await server.close(AbortSignal.abort());
    });
    return channel;
  },
  async startPeer(t) {
    const probe = createServer().listen(0, '127.0.0.1');
    await once(probe, 'listening');
    const { port } = probe.address() as AddressInfo;
    probe.close();
    await once(probe, 'close');
    const peer = await startPeer(['grpc', String(port), folder.path]);
    const channel = createGrpcChannel({ host: '127.0.0.1', port, tls });
    t.after(async () => {
      await channel.close();
      await peer.kill();
    });
    return { channel, kill: peer.kill, restart: peer.restart };
  },
});
