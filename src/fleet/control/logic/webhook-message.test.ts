import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { FleetEventSchema } from '#gen/cellar/fleet/v1/common_pb.ts';
import type { EventFilter } from '../store/webhooks.ts';
import { isWanted, secretText, webhookHeaders, webhookMessage } from './webhook-message.ts';

const event = create(FleetEventSchema, {
  ...{ position: 7n, time: timestampFromMs(1_700_000_000_000), kind: 'cluster', name: 'c1', reason: 'ClusterReady' },
  ...{ message: 'Cluster c1 is ready', host: 'h1', cluster: 'c1', blueprint: 'etcd', labels: { zone: 'a', tier: 'x' } },
});
const everything: EventFilter = { types: [], hosts: [], blueprints: [], labels: {} };

test('which events a webhook wants', () => {
  const cases: [filter: Partial<EventFilter>, wanted: boolean][] = [
    [{}, true],
    [{ types: ['ClusterReady'] }, true],
    [{ types: ['Cluster*'] }, true],
    [{ types: ['*'] }, true],
    [{ types: ['Cluster'] }, false],
    [{ types: ['Host*', 'ClaimBound'] }, false],
    [{ hosts: ['h2', 'h1'] }, true],
    [{ hosts: ['h2'] }, false],
    [{ blueprints: ['etcd'] }, true],
    [{ blueprints: ['evm-dev'] }, false],
    [{ labels: { zone: 'a' } }, true],
    [{ labels: { zone: 'a', tier: 'y' } }, false],
    [{ types: ['Cluster*'], hosts: ['h1'], blueprints: ['etcd'], labels: { tier: 'x' } }, true],
  ];
  for (const [filter, wanted] of cases)
    assert.equal(isWanted({ ...everything, ...filter }, event), wanted, JSON.stringify(filter));
  const host = create(FleetEventSchema, { kind: 'host', reason: 'HostAdded', host: 'h1' });
  assert.equal(isWanted({ ...everything, hosts: ['h1'] }, host), true);
  assert.equal(isWanted({ ...everything, blueprints: ['etcd'] }, host), false);
});

test('a message has the shape that Standard Webhooks asks for, and no point in its id', () => {
  const { id, type, body } = webhookMessage('f00', event);
  assert.match(id, /^evt_f00_7_[0-9a-z]+$/);
  const { data, ...head } = JSON.parse(body) as { data: Readonly<Record<string, unknown>> };
  assert.deepEqual(head, { type: 'ClusterReady', timestamp: '2023-11-14T22:13:20.000Z' });
  assert.deepEqual(
    [type, data['position'], data['labels'], data['blueprint']],
    ['ClusterReady', '7', { zone: 'a', tier: 'x' }, 'etcd'],
  );
  const long = webhookMessage('f00', { ...event, message: 'x'.repeat(1_000_000) });
  assert.ok(long.body.length < 20_000);
});

test('every secret that holds signs', () => {
  const secrets = [secretText('ab'.repeat(32)), secretText('cd'.repeat(32))];
  assert.match(secrets[0] ?? '', /^whsec_[A-Za-z0-9+/]{43}=$/);
  const headers = webhookHeaders(secrets, 'id', 1_700_000_000_999, '{"a":1}');
  const signatures = ['ab', 'cd'].map((byte) =>
    createHmac('sha256', Buffer.from(byte.repeat(32), 'hex'))
      .update('id.1700000000.{"a":1}')
      .digest('base64'),
  );
  assert.deepEqual(headers, {
    'webhook-id': 'id',
    'webhook-timestamp': '1700000000',
    'webhook-signature': signatures.map((signature) => `v1,${signature}`).join(' '),
  });
});
