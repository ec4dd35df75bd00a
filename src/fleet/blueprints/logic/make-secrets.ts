import type { Labels } from '../../common/words.ts';
import type { Blueprint } from './blueprint.ts';
import { authorityName, makeCertificates, secretNames } from './make-certificates.ts';
import { certificateWishes } from './plan-members.ts';

/** All that one incarnation keeps to itself: random texts by name, and certificates with their keys. */
export async function makeSecrets(
  blueprint: Blueprint,
  parameters: Labels,
  newSecret: (bytes: number) => string,
  nowMs: number,
): Promise<Labels> {
  const texts = Object.entries(blueprint.secrets ?? {}).map(([name, { bytes }]) => [name, newSecret(bytes)] as const);
  return { ...Object.fromEntries(texts), ...(await makeCertificates(certificateWishes(blueprint, parameters), nowMs)) };
}

/** In place of secrets, to show a plan: their names in angle brackets. */
export function placeholders(blueprint: Blueprint, parameters: Labels): Labels {
  const names = certificateWishes(blueprint, parameters).flatMap(({ member, name, authority }) => [
    ...Object.values(secretNames(member, name)),
    authorityName(authority),
  ]);
  return Object.fromEntries([...Object.keys(blueprint.secrets ?? {}), ...names].map((name) => [name, `<${name}>`]));
}
