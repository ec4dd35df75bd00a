import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StoredSnapshot } from '../store/snapshot-store.ts';
import type { StoredCluster } from '../store/store.ts';
import { type NewPlace, whyUnfit } from './snapshot-verbs.ts';

const volumes = [{ member: 'one', volume: 'data' }];
const shape = { digest: 'd', parameters: { size: '3' }, ports: [{ member: 'one', name: 'rpc', port: 20_000 }] };
const others = [{ member: 'one', name: 'rpc', port: 20_001 }];
const on = (before: NewPlace['agents'][0], now = before, isPortable = false): NewPlace => ({ agents: [before, now], isPortable });

test('what was saved fits the same, and another cluster only where nothing of the first is named in it', () => {
  const table: readonly [what: string, cluster: Partial<StoredCluster>, place: NewPlace | undefined, why: RegExp | undefined][] =
    [
      ['its own', {}, undefined, undefined],
      ['its own with other ports', { ports: others }, undefined, /ports/],
      ['another blueprint', { digest: 'e' }, on('docker'), /blueprint/],
      ['other parameters', { parameters: { size: '5' } }, on('docker'), /parameters/],
      ['in a network of its own', { ports: others }, on('docker'), undefined],
      ['beside it on the host', { ports: others }, on('process'), /ports of their host/],
      ['with the same ports on another machine', {}, on('process'), undefined],
      ['beside it, and portable', { ports: others }, on('process', 'process', true), undefined],
      ['on another type of host', { ports: others }, on('docker', 'swarm'), /type docker.*type swarm/],
      ['on another type of host, and portable', { ports: others }, on('docker', 'process', true), undefined],
    ];
  for (const [what, changed, place, why] of table) {
    const snapshot = { ...shape, volumes } as Partial<StoredSnapshot> as StoredSnapshot;
    const cluster = { ...shape, ...changed } as Partial<StoredCluster> as StoredCluster;
    const said = whyUnfit(snapshot, cluster, volumes, place);
    if (why) assert.match(said ?? '', why, what);
    else assert.equal(said, undefined, what);
  }
});
