import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { Sessions } from '#gen/cellar/identity/v1/credentials_pb.ts';
import { type Binding, implement } from '#kernel/calls/dispatcher.ts';
import { notFound } from '#kernel/fault.ts';
import type { SigningIn } from '../logic/signing-in.ts';
import type { UserStore } from '../store/store.ts';
import { toUserMessage } from './messages.ts';

export function sessionsRpc(signingIn: SigningIn, store: UserStore): Binding {
  return implement(Sessions, {
    async login({ name, password }, { caller, signal }) {
      const { token, user, expireTimeMs } = await signingIn.login({ name, password, origin: caller.origin ?? '' }, signal);
      return { token, user: toUserMessage(user), expireTime: timestampFromMs(expireTimeMs) };
    },
    async logout(_request, { caller }) {
      await signingIn.logout(caller);
      return {};
    },
    async getMe(_request, { caller }) {
      const user = await store.getUserById(caller.id);
      if (!user) throw notFound(`Cannot show user "${caller.name}": it was deleted`, { reason: 'user_missing' });
      return { user: toUserMessage(user), scopes: [...caller.scopes] };
    },
  });
}
