import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { Authenticator } from '#gen/cellar/identity/v1/credentials_pb.ts';
import type { Caller } from '#kernel/calls/caller.ts';
import { type Binding, implement } from '#kernel/calls/dispatcher.ts';
import { notFound } from '#kernel/fault.ts';
import type { Vault } from '#kernel/vault.ts';
import { callerOf, type SigningIn } from '../logic/signing-in.ts';
import type { UserStore } from '../store/store.ts';

export interface AuthenticatorParts {
  readonly signingIn: SigningIn;
  readonly store: UserStore;
  readonly vault: Vault;
  /** Aborts when the service stops: watching ends then. */
  readonly signal: AbortSignal;
}

export function authenticatorRpc({ signingIn, store, vault, signal }: AuthenticatorParts): Binding {
  return implement(Authenticator, {
    async authenticateToken({ token }) {
      const { caller, expireTimeMs } = await signingIn.authenticate(token);
      return {
        caller: toMessage(caller),
        ...(expireTimeMs === undefined ? {} : { expireTime: timestampFromMs(expireTimeMs) }),
      };
    },
    async getKeySecret({ accessKey }) {
      const found = await store.findKey(accessKey);
      if (!found || found.user.isDisabled) {
        throw notFound(`Cannot use key "${accessKey}": it is unknown or was ended`, { reason: 'key_missing' });
      }
      const { key, user } = found;
      return { secretKey: vault.open(key.secret, accessKey), caller: toMessage(callerOf(user, key.scopes, accessKey)) };
    },
    async findUser({ id, orName }) {
      const user = (await store.getUserById(id)) ?? (orName ? await store.getUser(id) : undefined);
      if (!user) throw notFound(`There is no user "${id}"`, { reason: 'user_missing' });
      return { id: user.id, name: user.name, disabled: user.isDisabled };
    },
    async *watchEpoch(_request, call) {
      for await (const epoch of store.watchEpoch(AbortSignal.any([call.signal, signal]))) yield { epoch: BigInt(epoch) };
    },
  });
}

function toMessage(caller: Caller) {
  return { ...caller, roles: [...caller.roles], scopes: [...caller.scopes] };
}
