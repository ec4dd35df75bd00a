import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Client, formatClient, parseClient } from './client-of.ts';

for (const client of [
  { address: '10.0.0.7', isSecure: false },
  { address: 'fe80::1%eth0', isSecure: true },
  { address: '', isSecure: true, baseDomain: 's3.example.org' },
] satisfies Client[]) {
  test(`a client is the same at the other side: ${JSON.stringify(client)}`, () => {
    assert.deepEqual(parseClient(formatClient(client)), client);
  });
}

test('an address with anything in it does not become more than an address', () => {
  assert.deepEqual(parseClient(formatClient({ address: '1.2.3.4 secure evil\r\n', isSecure: false })), {
    address: '1.2.3.4secureevil',
    isSecure: false,
  });
  assert.equal(parseClient('nothing'), undefined);
});
