import type { PolicyStore } from '#gen/cellar/identity/v1/policies_pb.ts';
import type { Client } from '#kernel/calls/client.ts';

/** What a new installation starts with. Data stays closed to users until an administrator's policy opens it. */
export const defaultPolicies = [
  {
    id: 'administrators',
    description: 'Administrators may do everything.',
    text: 'permit(principal in Role::"admin", action, resource);',
  },
  {
    id: 'sign-in',
    description: 'Anybody may try to sign in.',
    text: 'permit(principal, action, resource == Call::"cellar.identity.v1.Sessions/Login");',
  },
  {
    id: 'own-credentials',
    description: 'Users see who they are and manage their own sessions, tokens and keys.',
    text: [
      'permit(principal in Role::"user", action, resource in Contract::"cellar.identity.v1.Sessions");',
      'permit(principal in Role::"user", action, resource in Contract::"cellar.identity.v1.Tokens");',
      'permit(principal in Role::"user", action, resource in Contract::"cellar.identity.v1.Keys");',
      'permit(principal in Role::"user", action, resource == Call::"cellar.identity.v1.Users/SetPassword");',
    ].join('\n'),
  },
  {
    id: 'users',
    description: 'Users may make calls; each call still asks for its role, and for the data it touches.',
    text: 'permit(principal in Role::"user", action, resource is Call);',
  },
] as const;

/**
 * Puts the default policies into a store that never held any. The store's version counts its changes, and nobody can change policies
 * before this has run, so a start that was interrupted goes on where it stopped.
 */
export async function putDefaultPolicies(store: Client<typeof PolicyStore>, signal: AbortSignal): Promise<void> {
  const { version } = await store.listPolicies({ pageSize: 1 }, { signal });
  for (const policy of defaultPolicies.slice(Number(version))) await store.putPolicy({ policy }, { signal });
}
