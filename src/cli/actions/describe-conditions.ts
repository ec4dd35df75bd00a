import { type Condition, Condition_Truth, Condition_TruthSchema } from '#gen/cellar/fleet/v1/common_pb.ts';
import { enumWord, formatAge } from '../output/format.ts';
import type { Style } from '../output/style.ts';
import { printable } from '../output/table.ts';

/** What is known of an object and why, under a title; nothing when nothing is known. */
export function conditionLines(conditions: readonly Condition[], style: Style): string[] {
  if (conditions.length === 0) return [];
  const lines = conditions.map(({ type, status, reason, message, changeTime }) => {
    const word = enumWord(Condition_TruthSchema, status);
    const paint = status === Condition_Truth.TRUE ? style.green : status === Condition_Truth.FALSE ? style.red : style.yellow;
    const age = changeTime ? `, ${formatAge(changeTime, Date.now())}` : '';
    return `  ${printable(type)} ${paint(word)} (${printable(reason)}${age})${message ? `: ${printable(message)}` : ''}`;
  });
  return ['', style.dim('CONDITIONS'), ...lines];
}
