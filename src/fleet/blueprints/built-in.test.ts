import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parse } from 'yaml';
import type { Blueprint, Parameter } from './logic/blueprint.ts';
import { placeholders } from './logic/make-secrets.ts';
import { parseBlueprint } from './logic/parse-blueprint.ts';
import { fillParameters, planMembers, portWishes } from './logic/plan-members.ts';

const folder = new URL('./built-in/', import.meta.url);

/** Values worth a try: the least, the most, and all choices. */
function edges({ type, min, max, choices, default: usual }: Parameter): readonly string[] {
  if (type === 'boolean') return ['true', 'false'];
  return [...new Set([String(usual), ...[min, max, ...(choices ?? [])].filter((value) => value !== undefined).map(String)])];
}

function read(file: string): Blueprint {
  const { blueprint, problems } = parseBlueprint(readFileSync(new URL(file, folder), 'utf8'));
  assert.deepEqual(problems, []);
  assert.ok(blueprint);
  return blueprint;
}

for (const file of readdirSync(folder)) {
  test(`${file} can be planned for each of its agents, with each value of each parameter`, () => {
    const blueprint = read(file);
    assert.equal(`${blueprint.name}.yaml`, file);
    const { parameters: known = {} } = blueprint;
    const tries = Object.entries(known).flatMap(([name, parameter]) => edges(parameter).map((value) => ({ [name]: value })));
    for (const agent of blueprint.agents) {
      for (const given of [{}, ...tries]) {
        const parameters = fillParameters(blueprint, given);
        const ports = portWishes(blueprint, parameters, agent).map((wish, at) => ({ ...wish, port: 20_000 + at }));
        const secrets = placeholders(blueprint, parameters);
        const plan = planMembers(blueprint, {
          ...{ cluster: 'c1', incarnation: 1, publicHost: 'host.test' },
          ...{ agent, parameters, ports, secrets },
        });
        for (const member of plan.members) {
          assert.ok(member.memoryBytesMax > 0 && member.processesMax > 0, `${member.name} has limits`);
          assert.ok(
            !member.command.some((word) => Object.values(secrets).some((secret) => word.includes(secret))),
            `${member.name} shows no secret in its command`,
          );
          const named = new Set(member.ports.map(({ port }) => port));
          assert.equal(named.size, member.ports.length, `${member.name} has two ports with one number`);
        }
        for (const { path, text } of plan.members.flatMap(({ files }) => files)) {
          if (path.endsWith('.sh')) assert.equal(spawnSync('sh', ['-n'], { input: text, encoding: 'utf8' }).stderr, '', path);
          if (path.endsWith('.yaml')) assert.doesNotThrow(() => parse(text), path);
        }
        const asked = [...plan.members.flatMap(({ ready }) => ready), ...plan.health.map(({ ask }) => ask)];
        assert.ok(asked.length > 0);
        for (const rule of plan.health)
          for (const number of [rule.atLeast, rule.growsSeconds]) if (number !== undefined) assert.match(String(number), /^\d+$/);
        for (const text of Object.values({ ...plan.endpoints, ...plan.connection })) assert.doesNotMatch(text, /:0\b/);
      }
    }
  });
}

test('built-in blueprints name an image that can be exchanged', () => {
  for (const file of readdirSync(folder)) {
    const blueprint = read(file);
    if (!blueprint.agents.some((agent) => agent !== 'process')) continue;
    for (const { image, role } of blueprint.members) assert.match(image ?? '', /^\{\{ *\w*[iI]mage *\}\}$/, `${file}: ${role}`);
  }
});
