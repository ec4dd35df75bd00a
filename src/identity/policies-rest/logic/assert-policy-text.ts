import { parsePlain } from './plain-policies.ts';

/** Checks a policy's text before it is stored. Errors: `invalid_argument` with line and column. */
export async function assertPolicyText(text: string): Promise<void> {
  const plain = parsePlain(text);
  if (plain && plain.length > 0) return;
  (await import('./cedar.ts')).assertCedar(text);
}
