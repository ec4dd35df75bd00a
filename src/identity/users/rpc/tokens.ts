import { durationMs } from '@bufbuild/protobuf/wkt';
import { Tokens } from '#gen/cellar/identity/v1/credentials_pb.ts';
import { type Binding, implement } from '#kernel/calls/dispatcher.ts';
import { notFound } from '#kernel/fault.ts';
import { hashToken, newId, newToken } from '../logic/random.ts';
import { assertWithin } from '../logic/scopes.ts';
import type { StoredCredential, UserStore } from '../store/store.ts';
import { toTokenMessage } from './messages.ts';

const lifetimeMsDefault = 90 * 24 * 60 * 60 * 1000;
const tokensMax = 100;

export function tokensRpc(store: UserStore, now: () => number): Binding {
  return implement(Tokens, {
    async createToken({ name, scopes: asked, lifetime }, { caller }) {
      const scopes = asked.length > 0 ? asked : ['*'];
      assertWithin(caller.scopes, scopes);
      const token = newToken();
      const createTimeMs = now();
      const expireTimeMs = createTimeMs + (lifetime ? durationMs(lifetime) : lifetimeMsDefault);
      const made = { id: newId(), hash: hashToken(token), userId: caller.id, kind: 'token', name, scopes } as const;
      const info: StoredCredential = { ...made, createTimeMs, expireTimeMs, lastUseTimeMs: 0 };
      await store.addCredential(info, tokensMax, { credential: caller.credential });
      return { token, info: toTokenMessage(info) };
    },
    async listTokens(_request, { caller }) {
      return { tokens: (await store.listTokens(caller.id)).map(toTokenMessage) };
    },
    async deleteToken({ id }, { caller }) {
      if (await store.deleteCredential(caller.id, 'token', id)) return {};
      throw notFound(`Cannot delete token "${id}": you have none with this id`, { reason: 'token_missing' });
    },
  });
}
