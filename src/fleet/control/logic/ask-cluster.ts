import type { HealthRule } from '../../blueprints/logic/blueprint.ts';
import { type Judged, judgeHealth, type Progress, type RuleAnswer } from '../../blueprints/logic/judge-health.ts';
import type { CheckedMember, ChecksPlan } from '../../blueprints/logic/plan-members.ts';
import type { Driver, MemberQuestion, SeenMember } from '../../driver/driver.ts';
import type { StoredCluster } from '../store/store.ts';

type Asked = Pick<StoredCluster, 'name' | 'incarnation'>;

/** Which of the running members are ready, by name; those that do not run are left out. Errors: those of the driver. */
export async function askReady(
  driver: Driver,
  { name: cluster, incarnation }: Asked,
  plan: ChecksPlan,
  seen: readonly SeenMember[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, boolean>> {
  const running = plan.members.filter(({ name }) => stateOf(seen, name) === 'running');
  const questions = running.flatMap((member) => member.ready.map((question) => questionOf(member, question)));
  const answers = questions.length > 0 ? await driver.ask({ cluster, incarnation }, questions, signal) : [];
  const isReady = new Map(running.map(({ name }) => [name, true]));
  for (const [at, { member }] of questions.entries()) if (!answers[at]?.isOk) isReady.set(member, false);
  return isReady;
}

/** The health of the whole, by the blueprint's rules. Errors: those of the driver. */
export async function askHealth(
  driver: Driver,
  { name: cluster, incarnation }: Asked,
  plan: ChecksPlan,
  seen: readonly SeenMember[],
  progress: Progress,
  nowMs: number,
  signal: AbortSignal,
): Promise<Judged> {
  const wanted = plan.health.flatMap((rule) =>
    plan.members
      .filter(({ role }) => role === rule.role)
      .map((member) => ({ rule, member, isUp: stateOf(seen, member.name) === 'running' })),
  );
  const up = wanted.filter(({ isUp }) => isUp);
  const questions = up.map(({ rule, member }) => questionOf(member, rule.ask));
  const answers = questions.length > 0 ? await driver.ask({ cluster, incarnation }, questions, signal) : [];
  const byRule = new Map<HealthRule, RuleAnswer[]>(plan.health.map((rule) => [rule, []]));
  for (const [at, { rule, member }] of up.entries()) {
    const answer = answers[at] ?? { isOk: false, isUnknown: true, value: '', message: 'was not asked' };
    byRule.get(rule)?.push({ member: member.name, ...answer });
  }
  for (const { rule, member, isUp } of wanted) {
    if (isUp) continue;
    const isUnknown = stateOf(seen, member.name) === 'unknown';
    byRule.get(rule)?.push({ member: member.name, isOk: false, isUnknown, value: '', message: 'does not run' });
  }
  return judgeHealth(plan.health, byRule, progress, nowMs);
}

function stateOf(seen: readonly SeenMember[], name: string): SeenMember['state'] | undefined {
  return seen.find(({ member }) => member === name)?.state;
}

function questionOf(member: CheckedMember, question: MemberQuestion['question']): MemberQuestion {
  const ports = Object.fromEntries(member.ports.map(({ name, port, hostPort }) => [name, { inside: port, host: hostPort }]));
  return { member: member.name, question, ports };
}
