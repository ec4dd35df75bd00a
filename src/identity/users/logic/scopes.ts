import { permissionDenied } from '#kernel/fault.ts';

/** True when `held` allow everything that `wanted` allows. */
export function coversScope(held: readonly string[], wanted: string): boolean {
  if (held.includes('*') || held.includes(wanted)) return true;
  if (wanted === '*') return false;
  const [area, verb] = wanted.split(':');
  return held.includes(`${area}:*`) || (verb === 'read' && held.includes(`${area}:write`));
}

/** Errors: `permission_denied` naming the first scope that is more than `held`. */
export function assertWithin(held: readonly string[], wanted: readonly string[]): void {
  const excess = wanted.find((scope) => !coversScope(held, scope));
  if (excess === undefined) return;
  throw permissionDenied(`Cannot give the scope "${excess}": the credential you use does not have it`, {
    reason: 'scope_exceeded',
    hint: `Choose scopes within ${held.join(', ')}, or sign in with your password.`,
  });
}

/** What a key made with a credential may do with data. Errors: `permission_denied` when it is nothing. */
export function dataScopes(held: readonly string[]): readonly string[] {
  const widest = ['data:*', 'data:write', 'data:read'].find((scope) => coversScope(held, scope));
  if (widest) return [widest];
  throw permissionDenied('Cannot make a key: the credential you use may not touch data', {
    reason: 'scope_exceeded',
    hint: 'Use a token with the scope "data:read" or "data:write", or sign in with your password.',
  });
}
