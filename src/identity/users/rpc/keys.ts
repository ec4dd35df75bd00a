import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { Keys } from '#gen/cellar/identity/v1/credentials_pb.ts';
import { type Binding, implement } from '#kernel/calls/dispatcher.ts';
import { notFound } from '#kernel/fault.ts';
import type { Vault } from '#kernel/vault.ts';
import { newAccessKey, newSecretKey } from '../logic/random.ts';
import { dataScopes } from '../logic/scopes.ts';
import type { UserStore } from '../store/store.ts';

const keysMax = 100;

export function keysRpc(store: UserStore, vault: Vault, now: () => number): Binding {
  return implement(Keys, {
    async createKey({ name }, { caller }) {
      const scopes = dataScopes(caller.scopes);
      const accessKey = newAccessKey();
      const secretKey = newSecretKey();
      const secret = vault.seal(secretKey, accessKey);
      const key = { accessKey, userId: caller.id, name, scopes, secret, createTimeMs: now() };
      await store.addKey(key, keysMax, { credential: caller.credential });
      return { accessKey, secretKey };
    },
    async listKeys(_request, { caller }) {
      const keys = await store.listKeys(caller.id);
      return {
        keys: keys.map(({ accessKey, name, createTimeMs }) => ({ accessKey, name, createTime: timestampFromMs(createTimeMs) })),
      };
    },
    async deleteKey({ accessKey }, { caller }) {
      if (await store.deleteKey(caller.id, accessKey)) return {};
      throw notFound(`Cannot delete key "${accessKey}": you have none of this name`, { reason: 'key_missing' });
    },
  });
}
