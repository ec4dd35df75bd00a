import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shellMember } from '../testing/shell-member.ts';
import { type Manifest, memberManifests, namespaceManifests, namespaceOf, selectorOf } from './manifests.ts';

const owner = { fleet: 'f1', host: 'here', cluster: 'chain', incarnation: 2 };
const of = (all: readonly Manifest[], kind: string): readonly Manifest[] => all.filter((one) => one.kind === kind);
// What a manifest says is read as the API would read it: as JSON.
const specOf = (manifest: Manifest | undefined) => JSON.parse(JSON.stringify(manifest)).spec;

test('namespaces have names that Kubernetes takes, one for each incarnation of each fleet and host', () => {
  const names = [
    owner,
    { ...owner, incarnation: 3 },
    { ...owner, fleet: 'f2' },
    { ...owner, host: 'there' },
    { ...owner, cluster: 'a'.repeat(60) },
  ].map(namespaceOf);
  assert.equal(new Set(names).size, names.length);
  for (const name of names) assert.match(name, /^(?=.{1,63}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?$/);
  assert.equal(namespaceOf(owner), namespaceOf({ ...owner }));
});

test('selectors name what is ours, and no more than was asked', () => {
  assert.equal(selectorOf('f1', 'here'), 'cellar.fleet=f1,cellar.host=here');
  assert.equal(selectorOf('f1', 'here', 'chain'), 'cellar.fleet=f1,cellar.host=here,cellar.cluster=chain');
  const all = 'cellar.fleet=f1,cellar.host=here,cellar.cluster=chain,cellar.incarnation=2';
  assert.equal(selectorOf('f1', 'here', 'chain', 2), all);
});

test('everything is in the namespace of the incarnation, and is marked as ours', () => {
  const member = shellMember('one', 'image:1', 'true', {
    files: [
      { path: '/a', text: 'x' },
      { path: '/b', text: 'y', secret: true },
    ],
    ports: [{ name: 'web', port: 80, hostPort: 30_080, isUdp: false }],
    volumes: [{ name: 'data', path: '/data' }],
  });
  const all = [...namespaceManifests(owner), ...memberManifests(owner, member)];
  for (const { kind, metadata } of all) {
    assert.equal(metadata.labels['cellar.cluster'], 'chain');
    assert.equal(metadata.labels['cellar.incarnation'], '2');
    if (kind !== 'Namespace') assert.equal(metadata.namespace, namespaceOf(owner));
  }
  assert.equal(all.at(-1)?.kind, 'StatefulSet', 'what says that a member is whole comes last');
});

test('a pod may do nothing that a member does not need', () => {
  const { template } = specOf(of(memberManifests(owner, shellMember('one', 'image:1', 'true')), 'StatefulSet')[0]);
  assert.equal(template.spec.automountServiceAccountToken, false);
  assert.equal(template.spec.securityContext.seccompProfile.type, 'RuntimeDefault');
  assert.deepEqual(template.spec.containers[0].securityContext, {
    allowPrivilegeEscalation: false,
    capabilities: { drop: ['ALL'] },
  });
});

test('secret files are Secrets that their reader alone may read; others are ConfigMaps', () => {
  const files = [
    { path: '/etc/plain', text: 'p' },
    { path: '/etc/hidden', text: 'h', secret: true },
    { path: '/bin/run', text: '#!/bin/sh', executable: true },
  ];
  const all = memberManifests(owner, shellMember('one', 'image:1', 'true', { files }));
  assert.deepEqual(of(all, 'ConfigMap')[0]?.['data'], { 'file-0': 'p', 'file-2': '#!/bin/sh' });
  assert.deepEqual(of(all, 'Secret')[0]?.['stringData'], { 'file-1': 'h' });
  const { template } = specOf(of(all, 'StatefulSet')[0]);
  const modes = template.spec.volumes.flatMap(
    (volume: { configMap?: { items: object[] }; secret?: { items: object[] } }) => (volume.configMap ?? volume.secret)?.items,
  );
  assert.deepEqual(modes, [
    { key: 'file-0', path: 'file-0', mode: 0o444 },
    { key: 'file-2', path: 'file-2', mode: 0o555 },
    { key: 'file-1', path: 'file-1', mode: 0o400 },
  ]);
});

test('only ports that have one on the host are published, on their own node', () => {
  const ports = [
    { name: 'peer', port: 7000, hostPort: 0, isUdp: false },
    { name: 'rpc', port: 8545, hostPort: 30_100, isUdp: false },
    { name: 'dns', port: 53, hostPort: 30_101, isUdp: true },
  ];
  const services = of(memberManifests(owner, shellMember('one', 'image:1', 'true', { ports })), 'Service').map(specOf);
  assert.deepEqual(
    services.map(({ clusterIP, type }) => clusterIP ?? type),
    ['None', 'NodePort'],
  );
  assert.equal(services[1].externalTrafficPolicy, 'Local');
  assert.deepEqual(
    services[1].ports.map(({ name, protocol, nodePort }: Record<string, unknown>) => [name, protocol, nodePort]),
    [
      ['tcp-8545', 'TCP', 30_100],
      ['udp-53', 'UDP', 30_101],
    ],
  );
});

const probeCases: [what: string, ready: object[], probe: unknown][] = [
  ['nothing', [], undefined],
  ['a path', [{ http: { port: 'web', path: '/ok' } }], { httpGet: { port: 80, path: '/ok' } }],
  ['a status of its own', [{ http: { port: 'web', path: '/', status: 404 } }], { tcpSocket: { port: 80 } }],
  ['a method', [{ jsonRpc: { port: 'web', method: 'x' } }], { tcpSocket: { port: 80 } }],
  ['a command', [{ command: ['true'] }], { exec: { command: ['true'] } }],
];
for (const [what, ready, probe] of probeCases) {
  test(`readiness by ${what}`, () => {
    const ports = [{ name: 'web', port: 80, hostPort: 0, isUdp: false }];
    const all = memberManifests(owner, shellMember('one', 'image:1', 'true', { ports, ready }));
    const { readinessProbe } = specOf(of(all, 'StatefulSet')[0]).template.spec.containers[0];
    const { periodSeconds: _, timeoutSeconds: __, failureThreshold: ___, ...asked } = readinessProbe ?? {};
    assert.deepEqual(readinessProbe === undefined ? undefined : asked, probe);
  });
}

test('limits are written as Kubernetes writes them; no limit is none', () => {
  const limitsOf = (more: object) =>
    specOf(of(memberManifests(owner, shellMember('one', 'image:1', 'true', more)), 'StatefulSet')[0]).template.spec.containers[0]
      .resources;
  assert.deepEqual(limitsOf({ memoryBytesMax: 1024, cpuMillisMax: 250 }), { limits: { memory: '1024', cpu: '250m' } });
  assert.deepEqual(limitsOf({}), {});
});
