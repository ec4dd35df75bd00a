import type { IncomingMessage } from 'node:http';
import { Role } from '#gen/cellar/kernel/v1/options_pb.ts';
import { anybody, type Caller } from '#kernel/calls/caller.ts';
import type { Method } from '#kernel/calls/contract.ts';
import { unauthenticated } from '#kernel/fault.ts';
import type { Guard } from '#kernel/guard/guard.ts';
import { clientAddress } from './client-address.ts';
import { assertSameOrigin, readCredentials } from './credentials.ts';

export interface AdmitOptions {
  readonly guard: Pick<Guard, 'authenticate' | 'assertAllowed' | 'knownCaller' | 'knownAllowed'>;
  readonly trustsProxy: boolean;
}

/** A plain value when everything was asked before. */
export type Admit = (method: Method, request: IncomingMessage) => Caller | Promise<Caller>;

interface Rule {
  readonly resource: string;
  readonly isOpen: boolean;
  readonly isKnownAllowed: (caller: Caller) => boolean;
}

/**
 * Lets a request in: who is it, may the credential be used from there, do the policies allow the call. The method's own rule is
 * checked again by whoever serves it.
 * Errors: `unauthenticated`, `permission_denied`, `unavailable`.
 */
export function createAdmit({ guard, trustsProxy }: AdmitOptions): Admit {
  const rules = new Map<Method, Rule>();
  const ruleOf = (method: Method): Rule => {
    const known = rules.get(method);
    if (known) return known;
    const resource = `call/${method.name}`;
    const rule = {
      resource,
      isOpen: method.roles.has(Role.ANYONE),
      isKnownAllowed: guard.knownAllowed(method.scope, resource),
    };
    rules.set(method, rule);
    return rule;
  };
  const ask = async (caller: Caller | Promise<Caller>, method: Method, { resource }: Rule): Promise<Caller> => {
    const asking = await caller;
    await guard.assertAllowed(asking, method.scope, resource);
    return asking;
  };
  return (method, request) => {
    const rule = ruleOf(method);
    const origin = clientAddress(request, trustsProxy);
    // Signing in must work with an old cookie as well.
    if (rule.isOpen) return ask({ ...anybody, origin }, method, rule);
    const credentials = readCredentials(request);
    if (!credentials) {
      throw unauthenticated(`Cannot call ${method.name}: no credentials were given`, { hint: 'Sign in, or send a token.' });
    }
    if (credentials.isAmbient && (method.isWrite || request.method !== 'GET')) assertSameOrigin(request);
    const known = guard.knownCaller(credentials.token, origin);
    if (known && rule.isKnownAllowed(known)) return known;
    return ask(guard.authenticate(credentials.token, origin), method, rule);
  };
}
