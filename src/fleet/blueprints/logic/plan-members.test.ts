import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Blueprint } from './blueprint.ts';
import { planMembers } from './plan-members.ts';

const pair: Blueprint = {
  ...{ blueprint: 1, name: 'pair', description: 'One or two.', agents: ['docker'] },
  parameters: { count: { type: 'integer', description: 'How many.', default: 1 } },
  members: [{ role: 'one', count: '{{ count }}', command: ['run'], ports: { web: { port: 80, public: true } } }],
  endpoints: { first: '{{ members[0].public.web }}', second: '{% if count > 1 %}{{ members[1].public.web }}{% endif %}' },
  connection: { 'second/name': '{% if count > 1 %}{{ members.last.name }}{% endif %}' },
};

function planOf(count: string) {
  const ports = ['one-0', 'one-1'].map((member, at) => ({ member, name: 'web', port: 20_000 + at }));
  return planMembers(pair, {
    ...{ cluster: 'c1', incarnation: 1, agent: 'docker', publicHost: 'host.test', secrets: {} },
    ...{ ports, parameters: { count } },
  });
}

test('an endpoint or text of the connection that comes out empty is not there', () => {
  const { endpoints, connection } = planOf('1');
  assert.deepEqual([endpoints, connection], [{ first: 'host.test:20000' }, {}]);
});

test('it is there when it says something', () => {
  const { endpoints, connection } = planOf('2');
  assert.deepEqual(endpoints, { first: 'host.test:20000', second: 'host.test:20001' });
  assert.deepEqual(connection, { 'second/name': 'one-1' });
});
