import type { Health, HealthVerdict } from '../../common/words.ts';

import type { HealthRule } from './blueprint.ts';

/** What one member answered to a rule's question. */
export interface RuleAnswer {
  readonly member: string;
  readonly isOk: boolean;
  /** It could not be asked, which says nothing about the member. */
  readonly isUnknown: boolean;
  /** The answer's text: JSON, or anything. */
  readonly value: string;
  readonly message: string;
}

/** What is kept between two judgements, by rule. Times are of the monotonic clock: that on the wall may jump. */
export type Progress = Readonly<Record<string, RuleProgress>>;

export interface RuleProgress {
  /** Of a rule that has to grow: its highest value, and when it last grew. */
  readonly value?: number;
  readonly grewMs?: number;
  /** When the rule last held. */
  readonly heldMs?: number;
}

export interface Judged {
  readonly verdict: HealthVerdict;
  readonly progress: Progress;
}

interface Ruled {
  readonly health: Health;
  readonly message: string;
  readonly name: string;
}

const order: readonly Health[] = ['ok', 'degraded', 'unknown', 'failed'];

/**
 * The health of a cluster from what its members answered: the worst of its rules. `downs` are members that do not run; they answer nothing
 * and count as unwell in rules of their role.
 */
export function judgeHealth(
  rules: readonly HealthRule[],
  answers: ReadonlyMap<HealthRule, readonly RuleAnswer[]>,
  before: Progress,
  nowMs: number,
): Judged {
  const progress: Record<string, RuleProgress> = {};
  const ruled = rules.map((rule) => {
    const given = answers.get(rule) ?? [];
    const known = before[rule.name] ?? {};
    const grown = growth(rule, given, known, nowMs);
    const growsMs = Number(rule.growsSeconds ?? 0) * 1000;
    const isStill = growsMs > 0 && grown.grewMs !== undefined && nowMs - grown.grewMs > growsMs;
    const found = judgeRule(rule, given, isStill);
    const heldMs = found.health === 'ok' ? nowMs : known.heldMs;
    progress[rule.name] = { ...grown, ...(heldMs === undefined ? {} : { heldMs }) };
    const isPatient = heldMs !== undefined && nowMs - heldMs <= (rule.patienceSeconds ?? 0) * 1000;
    return isPatient && found.health !== 'unknown' ? { ...found, health: 'ok' as const } : found;
  });
  const worst = ruled.toSorted((a, b) => order.indexOf(b.health) - order.indexOf(a.health))[0];
  if (!worst || worst.health === 'ok') return { verdict: { health: 'ok', reason: 'AllWell', message: '' }, progress };
  return { verdict: { health: worst.health, reason: worst.name, message: worst.message }, progress };
}

/** A chain that was reorganised may be lower than before: that is no growth, and no standstill either until it lasts. */
function growth(rule: HealthRule, answers: readonly RuleAnswer[], { value, grewMs }: RuleProgress, nowMs: number): RuleProgress {
  if (rule.growsSeconds === undefined) return {};
  const highest = Math.max(...answers.map((answer) => numberOf(rule, answer)).filter(Number.isFinite));
  if (!Number.isFinite(highest)) return value === undefined || grewMs === undefined ? {} : { value, grewMs };
  return value !== undefined && grewMs !== undefined && highest <= value
    ? { value: highest, grewMs }
    : { value: highest, grewMs: nowMs };
}

function judgeRule(rule: HealthRule, answers: readonly RuleAnswer[], isStill: boolean): Ruled {
  const known = answers.filter(({ isUnknown }) => !isUnknown);
  const well = wellOf(rule, known, isStill);
  const unwell = known.filter((answer) => !well.has(answer));
  const needed = neededOf(rule, answers.length);
  const detail = unwell.map((answer) => `${answer.member}${remarkOn(rule, answer)}`).join(', ');
  const message = detail === '' ? rule.message : `${rule.message}: ${detail}`;
  const { name } = rule;
  if (well.size >= needed) {
    if (unwell.length > 0) return { name, health: 'degraded', message };
    return { name, health: 'ok', message: '' };
  }
  // Those that could not be asked might make it enough.
  if (well.size + (answers.length - known.length) >= needed)
    return { name, health: 'unknown', message: 'Members could not be asked' };
  return { name, health: 'failed', message };
}

/** Why a member is not well: what went wrong with asking it, or the number it gave. */
function remarkOn(rule: HealthRule, answer: RuleAnswer): string {
  if (answer.message !== '') return ` (${answer.message})`;
  const isNumber = rule.atLeast !== undefined || rule.within !== undefined || rule.growsSeconds !== undefined;
  return isNumber ? ` (${textOf(rule, answer) ?? 'no number'})` : '';
}

function wellOf(rule: HealthRule, answers: readonly RuleAnswer[], isStill: boolean): ReadonlySet<RuleAnswer> {
  if (isStill) return new Set();
  const answering = answers.filter(({ isOk }) => isOk);
  if (rule.equals !== undefined) return new Set(answering.filter((answer) => textOf(rule, answer) === rule.equals));
  if (rule.atLeast !== undefined) return new Set(answering.filter((answer) => numberOf(rule, answer) >= Number(rule.atLeast)));
  if (rule.within !== undefined) {
    const highest = Math.max(...answering.map((answer) => numberOf(rule, answer)).filter(Number.isFinite));
    return new Set(answering.filter((answer) => numberOf(rule, answer) >= highest - (rule.within ?? 0)));
  }
  if (rule.same) {
    // Not to know it is nothing to agree on.
    const knowing = answering.filter((answer) => textOf(rule, answer) !== undefined);
    const groups = Map.groupBy(knowing, (answer) => textOf(rule, answer));
    const largest = [...groups.values()].toSorted((a, b) => b.length - a.length)[0];
    return new Set(largest ?? []);
  }
  return new Set(answering);
}

function neededOf({ need = 'all' }: HealthRule, count: number): number {
  if (need === 'all') return count;
  if (need === 'any') return Math.min(1, count);
  return need === 'majority' ? Math.floor(count / 2) + 1 : need;
}

/** What the rule's path points at in the answer's JSON; the whole answer when it has none. */
function textOf({ value: path, metric }: HealthRule, { value }: RuleAnswer): string | undefined {
  if (metric !== undefined) return new RegExp(`^${metric}(?:\\{.*\\})? (\\S+)`, 'm').exec(value)?.[1];
  if (path === undefined) return value;
  let found: unknown;
  try {
    found = JSON.parse(value);
  } catch {
    // An answer that is no JSON has nothing at any path, so the member is not well.
    return undefined;
  }
  for (const name of path.split('.')) found = found !== null && typeof found === 'object' ? Reflect.get(found, name) : undefined;
  return found === undefined || found === null ? undefined : typeof found === 'object' ? JSON.stringify(found) : String(found);
}

/** Decimal, or hexadecimal with `0x` in front. */
function numberOf(rule: HealthRule, answer: RuleAnswer): number {
  const text = textOf(rule, answer)?.trim();
  return text ? Number(text.replace(/^"(.*)"$/, '$1')) : Number.NaN;
}
