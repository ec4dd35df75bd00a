import { Role } from '#gen/cellar/kernel/v1/options_pb.ts';
import { permissionDenied, unauthenticated } from '../fault.ts';
import type { Method } from './contract.ts';

/** On whose behalf a call is made: set once at the edge, carried unchanged from service to service. */
export interface Caller {
  /** A user's id or a service's name; empty for anybody. */
  readonly id: string;
  readonly name: string;
  readonly roles: readonly Role[];
  /** What the credential allows, such as `data:read`, `data:*` or `*`. */
  readonly scopes: readonly string[];
  /** The service that makes the call for the caller; empty at the edge. */
  readonly via: string;
  /** Id of the session, token or key the caller came with; absent for services and for anybody. */
  readonly credential?: string;
  /** Network address the edge saw, without port; absent when unknown. */
  readonly origin?: string;
}

export const anybody: Caller = Object.freeze({ id: '', name: 'anybody', roles: [], scopes: [], via: '' });

/** A service acting for itself. */
export function serviceCaller(name: string): Caller {
  return Object.freeze({ id: name, name, roles: [Role.SERVICE], scopes: ['*'], via: '' });
}

const passedOn = new WeakMap<Caller, Caller>();

/** The caller as the service `via` passes it on; the same object for the same service as a rule, so that others can keep beside it what they know of it. */
export function callerVia(caller: Caller, via: string): Caller {
  const known = passedOn.get(caller);
  if (known?.via === via) return known;
  const passed = Object.freeze({ ...caller, via });
  passedOn.set(caller, passed);
  return passed;
}

/**
 * Checks the method's call option against a caller: roles first, then the scopes of the credential.
 * Errors: `unauthenticated` for anybody, `permission_denied` for a known caller.
 */
export function assertMayCall(method: Method, caller: Caller): void {
  const { roles } = method;
  if (roles.has(Role.ANYONE)) return;
  if (!caller.roles.some((role) => roles.has(role))) {
    if (caller.id === '')
      throw unauthenticated(`Cannot call ${method.name}: no credentials were given`, { hint: 'Sign in, or send a token.' });
    throw permissionDenied(`Cannot call ${method.name}: ${caller.name} does not have the role it needs`, {
      reason: 'role_missing',
    });
  }
  if (!hasScope(caller.scopes, method.scope)) {
    throw permissionDenied(`Cannot call ${method.name}: the credential lacks the scope "${method.scope}"`, {
      reason: 'scope_missing',
      hint: `Use a token with the scope "${method.scope}".`,
    });
  }
}

/** True when one of `held` covers `wanted`: equal, `area:*`, `area:write` for `area:read`, or `*`. */
export function hasScope(held: readonly string[], wanted: string): boolean {
  if (held.includes('*')) return true;
  if (wanted === '*') return held.length > 0;
  if (held.includes(wanted)) return true;
  const area = wanted.slice(0, wanted.indexOf(':'));
  return held.includes(`${area}:*`) || (wanted.endsWith(':read') && held.includes(`${area}:write`));
}
