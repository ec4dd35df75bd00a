import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { test } from 'node:test';
import { connect, createServer } from 'node:tls';
import { authoritiesIn, makeCertificates, secretNames } from './make-certificates.ts';

test('members with certificates of one authority trust each other, and nobody else', async () => {
  const secrets = await makeCertificates(
    [
      { member: 'server', name: 'tls', authority: 'one', unit: 'peer' },
      { member: 'client', name: 'tls', authority: 'one' },
      { member: 'stranger', name: 'tls', authority: 'two' },
    ],
    Date.now(),
  );
  const { one, two } = authoritiesIn(secrets);
  assert.ok(one && two);
  const pair = (member: string) => {
    const { certificate, key } = secretNames(member, 'tls');
    return { cert: secrets[certificate], key: secrets[key] };
  };
  const certificate = new X509Certificate(pair('server').cert ?? '');
  assert.match(certificate.subject, /CN=server\nOU=peer/);
  assert.ok(certificate.verify(new X509Certificate(one).publicKey));
  assert.ok(new X509Certificate(one).ca);

  const server = createServer({ ...pair('server'), ca: one, requestCert: true, rejectUnauthorized: true }, (socket) =>
    socket.end('hello'),
  );
  server.on('tlsClientError', () => undefined);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  const greet = async (member: string): Promise<string> => {
    const socket = connect({ host: '127.0.0.1', port, ca: one, servername: 'server', ...pair(member) });
    let text = '';
    for await (const chunk of socket) text += String(chunk);
    return text;
  };
  try {
    assert.equal(await greet('client'), 'hello');
    assert.equal(await greet('stranger').catch(() => ''), '');
  } finally {
    server.close();
  }
});
