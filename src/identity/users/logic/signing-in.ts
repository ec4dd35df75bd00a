import { Role } from '#gen/cellar/kernel/v1/options_pb.ts';
import type { Caller } from '#kernel/calls/caller.ts';
import { failedPrecondition, unauthenticated } from '#kernel/fault.ts';
import type { StoredCredential, StoredUser, UserStore } from '../store/store.ts';
import type { LastUse } from './last-use.ts';
import type { LoginLimit } from './login-limit.ts';
import type { Passwords } from './passwords.ts';
import { hashToken, isToken, newId, newToken } from './random.ts';

/** Trades passwords for sessions, and tokens for callers. */
export interface SigningIn {
  /** Errors: `unauthenticated`, the same for every cause; `resource_exhausted` with `retryAfterMs`. */
  login(request: LoginAttempt, signal: AbortSignal): Promise<{ token: string; user: StoredUser; expireTimeMs: number }>;
  /** Ends the caller's session; one that has ended already is fine. Errors: `failed_precondition` when the caller came without one. */
  logout(caller: Caller): Promise<void>;
  /** Errors: `unauthenticated` when the token is unknown, expired or ended, or its user disabled. */
  authenticate(token: string): Promise<{ caller: Caller; expireTimeMs: number | undefined }>;
}

export interface LoginAttempt {
  readonly name: string;
  readonly password: string;
  /** Network address; empty when unknown. */
  readonly origin: string;
}

export interface SigningInParts {
  readonly store: UserStore;
  readonly passwords: Passwords;
  readonly limit: LoginLimit;
  readonly lastUse: LastUse;
  readonly now: () => number;
  /** Unit: milliseconds. */
  readonly sessionIdleMs: number;
  /** Unit: milliseconds. */
  readonly sessionMs: number;
}

const sessionsMax = 100;
/** Ended sessions are refused at once; their rows are removed now and then. Unit: milliseconds. */
const cleanUpMs = 60 * 60 * 1000;

export function createSigningIn(parts: SigningInParts): SigningIn {
  const { store, passwords, limit, lastUse, now, sessionIdleMs, sessionMs } = parts;
  const endTimeMs = (credential: StoredCredential): number | undefined => {
    if (credential.kind === 'token') return credential.expireTimeMs;
    const usedMs = Math.max(credential.lastUseTimeMs, lastUse.get(credential.id));
    return Math.min(credential.expireTimeMs ?? Number.POSITIVE_INFINITY, usedMs + sessionIdleMs);
  };
  let cleanedUpMs = 0;
  const cleanUp = async (nowMs: number): Promise<void> => {
    if (nowMs - cleanedUpMs < cleanUpMs) return;
    cleanedUpMs = nowMs;
    await store.deleteEndedSessions(nowMs, nowMs - sessionIdleMs);
  };
  return {
    async login({ name: typed, password, origin }, signal) {
      const name = typed.toLowerCase();
      const attempt = limit.begin(name, origin);
      let user: StoredUser | undefined;
      let isOutdated: boolean;
      try {
        user = await store.getUser(name);
        const checked = await passwords.check(password, user?.password ?? '', signal);
        isOutdated = checked.isOutdated;
        if (!checked.isRight || user?.isDisabled) user = undefined;
      } catch (error) {
        attempt.undo();
        throw error;
      }
      if (!user) {
        throw unauthenticated('Cannot sign in: the name or the password is wrong', { reason: 'login_failed' });
      }
      attempt.succeed();
      const nowMs = now();
      const token = newToken();
      const expireTimeMs = nowMs + sessionMs;
      const session = { id: newId(), hash: hashToken(token), userId: user.id, kind: 'session', name: '', scopes: ['*'] } as const;
      await store.addCredential({ ...session, createTimeMs: nowMs, expireTimeMs, lastUseTimeMs: nowMs }, sessionsMax, {
        password: user.password,
      });
      if (isOutdated) await store.rehashPassword(user.id, user.password, await passwords.hash(password, signal));
      await cleanUp(nowMs);
      return { token, user, expireTimeMs };
    },
    async logout(caller) {
      const isEnded = caller.credential !== undefined && (await store.deleteCredential(caller.id, 'session', caller.credential));
      if (isEnded) return;
      const tokens = await store.listTokens(caller.id);
      if (caller.credential !== undefined && !tokens.some(({ id }) => id === caller.credential)) return;
      throw failedPrecondition('Cannot sign out: the call was not made with a session', {
        reason: 'not_a_session',
        hint: 'Delete a token to end it.',
      });
    },
    async authenticate(token) {
      const found = isToken(token) ? await store.findCredential(hashToken(token)) : undefined;
      if (!found || found.user.isDisabled) {
        throw unauthenticated('Cannot sign in with this token: it is unknown or was ended', {
          reason: 'token_invalid',
          hint: 'Sign in again, or make a new token.',
        });
      }
      const { credential, user } = found;
      const nowMs = now();
      const expireTimeMs = endTimeMs(credential);
      if (expireTimeMs !== undefined && expireTimeMs <= nowMs) {
        throw unauthenticated(`Cannot sign in with this ${credential.kind}: it has expired`, {
          reason: 'token_expired',
          hint: credential.kind === 'session' ? 'Sign in again.' : 'Make a new token.',
        });
      }
      lastUse.note(credential.id, nowMs);
      return { caller: callerOf(user, credential.scopes, credential.id), expireTimeMs: endTimeMs(credential) };
    },
  };
}

/** On whose behalf a call with this credential is made. */
export function callerOf(user: StoredUser, scopes: readonly string[], credential: string): Caller {
  return { id: user.id, name: user.name, roles: rolesOf(user), scopes, via: '', credential };
}

export function rolesOf({ isAdmin }: Pick<StoredUser, 'isAdmin'>): Role[] {
  return isAdmin ? [Role.USER, Role.ADMIN] : [Role.USER];
}
