import type { IncomingMessage } from 'node:http';
import { Role } from '#gen/cellar/kernel/v1/options_pb.ts';
import { anybody, type Caller } from '#kernel/calls/caller.ts';
import type { Method } from '#kernel/calls/contract.ts';
import { unauthenticated } from '#kernel/fault.ts';
import type { Guard } from '#kernel/guard/guard.ts';
import { clientAddress } from './client-address.ts';
import { assertSameOrigin, readCredentials } from './credentials.ts';

export interface AdmitOptions {
  readonly guard: Pick<Guard, 'authenticate' | 'assertAllowed'>;
  readonly trustsProxy: boolean;
}

/**
 * Lets a request in: who is it, may the credential be used from there, do the policies allow the call. The method's own rule is
 * checked again by whoever serves it.
 * Errors: `unauthenticated`, `permission_denied`, `unavailable`.
 */
export function createAdmit({ guard, trustsProxy }: AdmitOptions): (method: Method, request: IncomingMessage) => Promise<Caller> {
  const rules = new Map<Method, { resource: string; isOpen: boolean }>();
  const ruleOf = (method: Method): { resource: string; isOpen: boolean } => {
    const known = rules.get(method);
    if (known) return known;
    const rule = { resource: `call/${method.name}`, isOpen: method.roles.has(Role.ANYONE) };
    rules.set(method, rule);
    return rule;
  };
  return async (method, request) => {
    const { resource, isOpen } = ruleOf(method);
    const origin = clientAddress(request, trustsProxy);
    // Signing in must work with an old cookie as well.
    if (isOpen) {
      const caller = { ...anybody, origin };
      await guard.assertAllowed(caller, method.scope, resource);
      return caller;
    }
    const credentials = readCredentials(request);
    if (!credentials) {
      throw unauthenticated(`Cannot call ${method.name}: no credentials were given`, { hint: 'Sign in, or send a token.' });
    }
    if (credentials.isAmbient && (method.isWrite || request.method !== 'GET')) assertSameOrigin(request);
    const caller = await guard.authenticate(credentials.token, origin);
    await guard.assertAllowed(caller, method.scope, resource);
    return caller;
  };
}
