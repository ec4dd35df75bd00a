import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Health } from '../../common/words.ts';
import type { HealthRule } from './blueprint.ts';
import { judgeHealth, type Progress, type RuleAnswer } from './judge-health.ts';

const base = { name: 'Rule', role: 'node', ask: { tcp: { port: 'rpc' } }, message: 'Wrong' } satisfies HealthRule;

/** `down`: asked, and did not answer; `lost`: could not be asked. */
function answersOf(values: readonly string[]): readonly RuleAnswer[] {
  return values.map((value, index) => ({
    member: `node-${index}`,
    isOk: value !== 'down' && value !== 'lost',
    isUnknown: value === 'lost',
    value: value === 'down' || value === 'lost' ? '' : value,
    message: value === 'down' ? 'does not answer' : '',
  }));
}

function judge(rule: HealthRule, values: readonly string[], before: Progress = {}, nowMs = 0) {
  return judgeHealth([rule], new Map([[rule, answersOf(values)]]), before, nowMs);
}

const table: readonly [Partial<HealthRule>, readonly string[], Health, string?][] = [
  [{}, ['x', 'x', 'x'], 'ok'],
  [{}, ['x', 'down', 'x'], 'failed', 'Wrong: node-1 (does not answer)'],
  [{ need: 'majority' }, ['x', 'down', 'x'], 'degraded', 'Wrong: node-1 (does not answer)'],
  [{ need: 'majority' }, ['down', 'down', 'x'], 'failed'],
  [{ need: 'majority' }, ['down', 'lost', 'x'], 'unknown'],
  [{ need: 'majority' }, ['x', 'lost', 'x'], 'ok'],
  [{ need: 'any' }, ['down', 'down', 'x'], 'degraded'],
  [{ need: 2 }, ['down', 'down', 'x'], 'failed'],
  [{ equals: 'true', value: 'health' }, ['{"health":"true"}'], 'ok'],
  [{ equals: 'true', value: 'health' }, ['{"health":"false"}'], 'failed'],
  [{ equals: 'true', value: 'health' }, ['no JSON'], 'failed'],
  [{ atLeast: '1', need: 'majority' }, ['2', '0', '1'], 'degraded', 'Wrong: node-1 (0)'],
  [{ atLeast: 2, metric: 'nodes' }, ['# HELP nodes N\nnodes_max 9\nnodes{channel="a"} 2\n'], 'ok'],
  [{ atLeast: 2, metric: 'nodes' }, ['nodes_max 9\n'], 'failed', 'Wrong: node-0 (no number)'],
  [{ within: 2, value: 'blocks', need: 'majority' }, ['{"blocks":9}', '{"blocks":7}', '{"blocks":6}'], 'degraded'],
  [{ within: 2 }, ['0x10', '0xe'], 'ok'],
  [{ same: true, need: 'majority' }, ['"a"', '"b"', '"a"'], 'degraded', 'Wrong: node-1'],
  [{ same: true, need: 'majority' }, ['"a"', '"b"', '"c"'], 'failed'],
  [{ same: true, value: 'leader', need: 'majority' }, ['{}', '{}', '{"leader":"a"}'], 'failed'],
];

for (const [rule, values, health, message] of table) {
  test(`${JSON.stringify(rule)} over ${values.join(', ')} is ${health}`, () => {
    const { verdict } = judge({ ...base, ...rule }, values);
    assert.equal(verdict.health, health);
    if (message !== undefined) assert.equal(verdict.message, message);
  });
}

test('the worst rule is told, the first of equals', () => {
  const rules = ['First', 'Second', 'Third'].map((name) => ({ ...base, name, need: 'majority' as const }));
  const [first, second, third] = rules.map(
    (rule, at) => [rule, answersOf(at === 0 ? ['x', 'x', 'x'] : ['x', 'x', 'down'])] as const,
  );
  const { verdict } = judgeHealth(rules, new Map([first, second, third].filter((one) => one !== undefined)), {}, 0);
  assert.deepEqual([verdict.health, verdict.reason], ['degraded', 'Second']);
});

test('what has to grow and stands still has failed, until it grows again', () => {
  const rule = { ...base, growsSeconds: '10' };
  let progress: Progress = {};
  const look = (values: readonly string[], nowMs: number): Health => {
    const judged = judge(rule, values, progress, nowMs);
    ({ progress } = judged);
    return judged.verdict.health;
  };
  assert.equal(look(['5', '4'], 0), 'ok');
  assert.equal(look(['5', '5'], 10_000), 'ok');
  assert.equal(look(['5', '5'], 10_001), 'failed');
  // A reorganisation may make a chain shorter, which is no growth.
  assert.equal(look(['4', '4'], 11_000), 'failed');
  assert.equal(look(['5', '5'], 12_000), 'ok');
  assert.equal(judge({ ...rule, growsSeconds: '0' }, ['5'], progress, 99_000).verdict.health, 'ok');
});

test('a rule that held is given time, one that never did is not', () => {
  const rule: HealthRule = { ...base, same: true, patienceSeconds: 5 };
  assert.equal(judge(rule, ['"a"', '"b"']).verdict.health, 'failed');
  const { progress } = judge(rule, ['"a"', '"a"'], {}, 1000);
  const soon = judge(rule, ['"a"', '"b"'], progress, 6000);
  assert.equal(soon.verdict.health, 'ok');
  assert.equal(judge(rule, ['"a"', '"b"'], soon.progress, 6001).verdict.health, 'failed');
});
