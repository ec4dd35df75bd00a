/**
 * A process that serves the conformance contract: `node peer.ts local PATH`, `node peer.ts grpc PORT FOLDER_OF_CA`, or by dialling
 * `node peer.ts dialled PORT FOLDER_OF_CA NAME_OF_SERVER`. Says `ready`.
 */
import { createDirectChannel } from '../../calls/direct.ts';
import { Endpoint } from '../../calls/endpoint.ts';
import { addConformance, conformanceService } from './conformance-service.ts';

const [kind, where = '', folder = '', serverName = ''] = process.argv.slice(2);
const endpoint = new Endpoint();
addConformance(endpoint, () => ({ channel: createDirectChannel(endpoint), service: conformanceService }));
if (kind === 'local') {
  const { serveLocal } = await import('../local/server.ts');
  await serveLocal(endpoint, { path: where });
} else if (kind === 'dialled') {
  const { keepDialled } = await import('../dialled/dial.ts');
  const { ensureCa, issueCertificate } = await import('../ca/ca.ts');
  const { silentLog } = await import('../../log.ts');
  const tls = await issueCertificate(await ensureCa(folder), { name: 'peer', hosts: [], uses: ['client'] });
  const signal = new AbortController().signal;
  void keepDialled({ host: '127.0.0.1', port: Number(where), tls: () => tls, serverName, endpoint, log: silentLog, signal });
} else {
  const { serveGrpc } = await import('../grpc/server.ts');
  const { ensureCa, issueCertificate } = await import('../ca/ca.ts');
  const { TlsIdentity } = await import('../ca/tls.ts');
  const tls = new TlsIdentity(
    await issueCertificate(await ensureCa(folder), { name: 'peer', hosts: ['127.0.0.1', 'localhost'] }),
  );
  await serveGrpc(endpoint, { host: '127.0.0.1', port: Number(where), tls });
}
process.stdout.write('ready\n');
