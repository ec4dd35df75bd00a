import { hash } from 'node:crypto';
import { create } from '@bufbuild/protobuf';
import { timestampMs } from '@bufbuild/protobuf/wkt';
import { Authenticator } from '#gen/cellar/identity/v1/credentials_pb.ts';
import { Decisions } from '#gen/cellar/identity/v1/policies_pb.ts';
import { type Caller as CallerMessage, CallerSchema } from '#gen/cellar/kernel/v1/call_pb.ts';
import { Role } from '#gen/cellar/kernel/v1/options_pb.ts';
import { type Caller, hasScope } from '../calls/caller.ts';
import { Code, Fault, permissionDenied, unauthenticated } from '../fault.ts';
import type { Micro } from '../services/service.ts';
import { type Loaded, WatchedCache } from './watched-cache.ts';

/** Who is it, and may they? For the edges, and for services that hold what policies speak of. */
export interface Guard {
  /**
   * The caller a session or token stands for. `origin` is the network address the edge saw; it goes into the caller.
   * Errors: `unauthenticated`; `unavailable` when the users service is away and the token was not seen lately.
   */
  authenticate(token: string, origin?: string): Promise<Caller>;
  /** As `authenticate`, from what is kept; undefined: ask. For the edge, where waiting costs more than the look-up. */
  knownCaller(token: string, origin: string): Caller | undefined;
  /** What a request signed with this access key has to be checked against; undefined when there is no such key. Errors: `unavailable`. */
  keySecret(accessKey: string): Promise<KeySecret | undefined>;
  /** Who an id stands for; undefined: nobody. Asked anew each time. Errors: `unavailable`. */
  findUser(id: string): Promise<{ readonly id: string; readonly name: string } | undefined>;
  /**
   * Resolves when the credential's scopes and the policies allow it: `action` such as `data:read`, `resource` such as
   * `data/docs/reports/2026.pdf` or `call/cellar.data.v1.Tree/List`. Services acting for themselves are always allowed.
   * `extent`: whether the question is about the resource itself or about a path with everything below it.
   * Errors: `permission_denied` (`unauthenticated` for anybody) that says who, what and on what; `unavailable` when it cannot be
   * decided now: then it is not allowed.
   */
  assertAllowed(caller: Caller, action: string, resource: string, signal?: AbortSignal, extent?: Extent): Promise<void>;
  /**
   * As `assertAllowed`, but tells what is forbidden from what nothing speaks of, for those who know more reasons to allow something.
   * Errors: `unavailable` when it cannot be decided now.
   */
  verdict(caller: Caller, action: string, resource: string, extent?: Extent): Promise<Verdict>;
  /** As `verdict`, from what is kept; undefined: ask. */
  knownVerdict(caller: Caller, action: string, resource: string, extent?: Extent): Verdict | undefined;
  /** A question that is asked often: the result says whether it is known that `assertAllowed` would allow it to a caller; false: ask. */
  knownAllowed(action: string, resource: string): (caller: Caller) => boolean;
}

export type Extent = 'itself' | 'with_all_below';

/** `forbidden`: the credential lacks the scope, or a policy forbids it; `undecided`: no policy speaks of it. `fault` says so to the caller. */
export type Verdict = { readonly kind: 'allowed' } | { readonly kind: 'forbidden' | 'undecided'; readonly fault: Fault };

export interface KeySecret {
  readonly secret: string;
  readonly caller: Caller;
}

export interface GuardOptions {
  /** How long answers serve after the service that gave them went away. Default 10 000. Unit: milliseconds. */
  readonly graceMs?: number;
}

interface Decision {
  readonly isAllowed: boolean;
  /** Those that decided. */
  readonly policies: readonly string[];
}

const graceMsDefault = 10_000;
/** Short enough that a session in use is seen to be in use. Unit: milliseconds. */
const callerTtlMs = 60_000;
const decisionTtlMs = 10 * 60_000;
const callersMax = 10_000;
const decisionsMax = 20_000;
/** Longer questions, about very long paths, are asked anew each time, so that they cannot fill the memory. */
const keyLengthMax = 512;
/** One question to identity. Unit: milliseconds. */
const timeoutMs = 5000;

/**
 * Asks the identity services and keeps their answers until one of them says that something was withdrawn, so a request
 * costs no call as a rule and a deleted token stops at once. While a service is away what it answered lately goes on
 * serving for `graceMs`; then everything is refused with `unavailable` until it is back.
 */
export function createGuard(micro: Pick<Micro, 'client' | 'clock' | 'log' | 'signal'>, options: GuardOptions = {}): Guard {
  const { graceMs = graceMsDefault } = options;
  const authenticator = micro.client(Authenticator);
  const decisions = micro.client(Decisions);
  const shared = { signal: micro.signal, now: () => micro.clock.now(), graceMs };
  const onLost = (what: string) => (error: Fault) =>
    micro.log.warn(`lost sight of ${what}; answers are kept a short while`, { error });
  const identity = {
    ...shared,
    max: callersMax,
    ttlMs: callerTtlMs,
    onLost: onLost('credentials'),
    watch: async function* (signal: AbortSignal) {
      for await (const { epoch } of authenticator.watchEpoch({}, { signal })) yield epoch;
    },
  };
  const callers = new WatchedCache<Caller>(identity);
  const keys = new WatchedCache<KeySecret>(identity);
  const verdicts = new WatchedCache<Decision>({
    ...shared,
    max: decisionsMax,
    ttlMs: decisionTtlMs,
    onLost: onLost('policies'),
    watch: async function* (signal) {
      for await (const { version } of decisions.watchVersion({}, { signal })) yield version;
    },
  });

  const decide = async (caller: Caller, action: string, resource: string, extent: Extent): Promise<Decision> => {
    const key = verdictKey(caller, action, resource, extent);
    const withAllBelow = extent === 'with_all_below';
    const ask = async (): Promise<Loaded<Decision>> => {
      const { allowed, policies } = await decisions.decide(
        { caller: toMessage(caller), action, resource, withAllBelow },
        { timeoutMs },
      );
      return { value: { isAllowed: allowed, policies } };
    };
    return key.length > keyLengthMax ? (await ask()).value : verdicts.get(key, ask);
  };

  const ask: Guard['verdict'] = async (caller, action, resource, extent = 'itself') =>
    withoutAsking(caller, action, resource) ??
    verdictOf(await decide(caller, action, resource, extent), caller, action, resource, extent);

  return {
    async authenticate(token, origin) {
      // Under the hash: a dump of the process shows no tokens.
      const caller = await callers.get(hash('sha256', token), async () => {
        const answer = await authenticator.authenticateToken({ token }, { timeoutMs });
        if (!answer.caller) throw unauthenticated('Cannot sign in with this token: it belongs to nobody');
        return {
          value: toCaller(answer.caller),
          expireTimeMs: answer.expireTime && timestampMs(answer.expireTime),
        };
      });
      return origin ? callerFrom(caller, origin) : caller;
    },
    knownCaller(token, origin) {
      const caller = callers.peek(hash('sha256', token));
      return caller && callerFrom(caller, origin);
    },
    knownAllowed(action, resource) {
      const keys = new WeakMap<Caller, string>();
      return (caller) => {
        let key = keys.get(caller);
        if (key === undefined) {
          key = verdictKey(caller, action, resource, 'itself');
          keys.set(caller, key);
        }
        return verdicts.peek(key)?.isAllowed === true && hasScope(caller.scopes, action);
      };
    },
    async keySecret(accessKey) {
      try {
        return await keys.get(accessKey, async () => {
          const answer = await authenticator.getKeySecret({ accessKey }, { timeoutMs });
          if (!answer.caller) throw new Fault(Code.NotFound, `Key "${accessKey}" belongs to nobody`);
          return { value: { secret: answer.secretKey, caller: toCaller(answer.caller) } };
        });
      } catch (error) {
        return noneOf(error);
      }
    },
    async findUser(id) {
      try {
        const { id: found, name } = await authenticator.findUser({ id }, { timeoutMs });
        return { id: found, name };
      } catch (error) {
        return noneOf(error);
      }
    },
    async assertAllowed(caller, action, resource, signal, extent) {
      signal?.throwIfAborted();
      const verdict = await ask(caller, action, resource, extent);
      if (verdict.kind !== 'allowed') throw verdict.fault;
    },
    verdict: ask,
    knownVerdict(caller, action, resource, extent = 'itself') {
      const unasked = withoutAsking(caller, action, resource);
      if (unasked) return unasked;
      const decision = verdicts.peek(verdictKey(caller, action, resource, extent));
      return decision && verdictOf(decision, caller, action, resource, extent);
    },
  };
}

/** That there is none is an answer like any other, also when what was asked for breaks the contract's rules, such as being too long. */
function noneOf(error: unknown): undefined {
  if (error instanceof Fault && (error.code === Code.NotFound || error.code === Code.InvalidArgument)) return undefined;
  throw error;
}

const allowed: Verdict = Object.freeze({ kind: 'allowed' });

/** What needs no policies: services are allowed, and what the credential's scopes do not cover is forbidden. */
function withoutAsking(caller: Caller, action: string, resource: string): Verdict | undefined {
  if (caller.roles.includes(Role.SERVICE)) return allowed;
  if (caller.id === '' || hasScope(caller.scopes, action)) return undefined;
  const fault = permissionDenied(`${caller.name} may not ${action} on ${resource}: the credential lacks the scope "${action}"`, {
    reason: 'scope_missing',
    hint: `Use a token with the scope "${action}".`,
  });
  return { kind: 'forbidden', fault };
}

function verdictOf({ isAllowed, policies }: Decision, caller: Caller, action: string, resource: string, extent: Extent): Verdict {
  if (isAllowed) return allowed;
  const kind = policies.length > 0 ? 'forbidden' : 'undecided';
  if (caller.id === '') {
    const message = `Cannot ${action} on ${resource} without credentials`;
    return { kind, fault: unauthenticated(message, { hint: 'Sign in, or send a token.' }) };
  }
  const why = kind === 'forbidden' ? `policy "${policies.join('", "')}" forbids it` : 'no policy allows it';
  const all = extent === 'with_all_below' ? ' and all below it' : '';
  const fault = permissionDenied(`${caller.name} may not ${action} on ${resource}${all}: ${why}`, {
    reason: 'policy_denied',
    hint: 'An administrator can allow it with a policy.',
  });
  return { kind, fault };
}

const fromOrigin = new WeakMap<Caller, Caller>();

/** The caller at a network address; the same object for the same address as a rule. */
function callerFrom(caller: Caller, origin: string): Caller {
  const known = fromOrigin.get(caller);
  if (known?.origin === origin) return known;
  const placed = Object.freeze({ ...caller, origin });
  fromOrigin.set(caller, placed);
  return placed;
}

function verdictKey({ id, name, roles }: Caller, action: string, resource: string, extent: Extent): string {
  return `${id}\n${name}\n${roles.join()}\n${action}\n${extent}\n${resource}`;
}

function toMessage(caller: Caller): CallerMessage {
  const { id, name, roles, scopes, via } = caller;
  return create(CallerSchema, { id, name, roles: [...roles], scopes: [...scopes], via });
}

function toCaller({ id, name, roles, scopes, via, credential }: CallerMessage): Caller {
  return Object.freeze({ id, name, roles, scopes, via, credential });
}
