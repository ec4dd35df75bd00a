import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import { createGunzip } from 'node:zlib';
import { extract } from 'tar-stream';
import { AgentType } from '#gen/cellar/fleet/v1/hosts_pb.ts';
import { Fault } from '#kernel/fault.ts';
import { type FleetClients, operator, startFleet, userNamed } from './testing/fleet-platform.ts';

const ann = userNamed('ann');
const bob = userNamed('bob');

async function dump({ clusters }: FleetClients, name: string): Promise<Readonly<Record<string, string>>> {
  const pieces = await Array.fromAsync(clusters.dumpCluster({ name }), ({ data }) => data);
  const files: Record<string, string> = {};
  const entries = extract();
  Readable.from(pieces).pipe(createGunzip()).pipe(entries);
  for await (const entry of entries)
    files[entry.header.name] = (await buffer(entry as AsyncIterable<Uint8Array> as Readable)).toString();
  return files;
}

/** What a member of the test blueprint gives away of its secrets, as carelessly as programs are. */
const leaky = `
blueprint: 1
name: leaky
description: Tells its secrets to everybody.
agents: [process]
secrets: { token: { bytes: 16 }, password: { bytes: 24 } }
members:
  - role: talker
    certificates: { tls: { authority: inner } }
    programs: [sh]
    command:
      - sh
      - -c
      - 'cat {{ member.root }}/key.pem {{ member.root }}/open.txt; echo "user:{{ secrets.password }}" | base64; i=0; while [ $i -lt 1500 ]; do i=$((i+1)); echo line $i token={{ secrets.token }}; done; exec sleep 600'
    environment: { TOKEN: "{{ secrets.token }}" }
    files:
      /key.pem: { text: "{{ member.certificates.tls.key }}", secret: true }
      /open.txt: { text: "password is {{ secrets.password }}" }
    volumes: { data: /data }
    ready: [{ command: ["true"] }]
health:
  - { name: Silent, role: talker, ask: { command: [sh, -c, "test {{ secrets.token }}"] }, message: It does not answer }
endpoints:
  web: "http://{{ secrets.password }}@127.0.0.1"
connection:
  token: "{{ secrets.token }}"
  key.pem: "{{ members[0].certificates.tls.key }}"
`;

const missing = spawnSync('base64', ['--version']).error ? 'base64 is not on the PATH' : false;

test('a dump holds what helps, and no secret in any form', {
  skip: missing,
  timeout: 120_000,
}, async (t) => {
  const fleet = await startFleet(t);
  const { hosts, blueprints } = fleet.as(operator);
  await blueprints.putBlueprint({ name: 'leaky', text: leaky });
  const spec = { type: AgentType.PROCESS, capacity: 1, portFirst: 23_500, portLast: 23_599 };
  await hosts.createHost({ host: { name: 'local', spec } });
  const { cluster } = await fleet.as(ann).engine.apply({ blueprint: 'leaky', waitSeconds: 60 });
  assert.ok(cluster);
  const { name } = cluster;
  const { secrets, files: keys } = await fleet.as(ann).clusters.getConnection({ name });
  const { token = '' } = secrets;
  const keyLines = Buffer.from(keys['key.pem'] ?? '')
    .toString()
    .split('\n')
    .filter((line) => line.length > 40);
  assert.ok(token.length === 32 && keyLines.length > 1);

  const whole = await dump(fleet.as(operator), name);
  const names = ['cluster.json', 'record.json', 'host.json', 'blueprint.yaml', 'plan.json', 'events.jsonl', 'operations.json'];
  const seen = ['snapshots.json', 'sighting.json', 'stats.json', 'logs/talker.log', 'dump.json'];
  assert.deepEqual(
    Object.keys(whole),
    [...names, ...seen].map((file) => `${name}/${file}`),
  );
  const log = whole[`${name}/logs/talker.log`] ?? '';
  assert.equal(log.trimEnd().split('\n').length, 1000);
  assert.match(log, /line 1500 token=\(secret\)/);
  assert.match(whole[`${name}/events.jsonl`] ?? '', /ClusterReady/);
  assert.deepEqual((JSON.parse(whole[`${name}/dump.json`] ?? '') as { missing: unknown[] }).missing, []);
  const password = /password is (\S+)/.exec(await openText(name))?.[1] ?? '';
  assert.ok(password.length === 48);
  const encoded = Buffer.from(`user:${password}\n`).toString('base64').slice(8, -4);
  for (const [file, text] of Object.entries(whole))
    for (const secret of [token, password, encoded, ...keyLines]) assert.ok(!text.includes(secret), `${file} holds a secret`);

  const own = await dump(fleet.as(ann), name);
  assert.ok(!Object.hasOwn(own, `${name}/host.json`), 'users do not see hosts');
  await assert.rejects(dump(fleet.as(bob), name), (error) => Fault.from(error).reason === 'cluster_missing');

  async function openText(of: string): Promise<string> {
    const command = ['cat', 'open.txt'];
    const { output } = await fleet.as(operator).clusters.execInCluster({ name: of, member: 'talker', command });
    return Buffer.from(output).toString();
  }
});
