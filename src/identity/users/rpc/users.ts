import { Users } from '#gen/cellar/identity/v1/users_pb.ts';
import { Role } from '#gen/cellar/kernel/v1/options_pb.ts';
import { type Binding, implement } from '#kernel/calls/dispatcher.ts';
import { invalidArgument, notFound } from '#kernel/fault.ts';
import { cutPage, decodePageToken, pageSizeDefault } from '#kernel/paging.ts';
import { type Accounts, changeOf } from '../logic/accounts.ts';
import type { UserStore } from '../store/store.ts';
import { toUserMessage } from './messages.ts';

export interface UsersParts {
  readonly store: UserStore;
  readonly accounts: Accounts;
  /** Called after the password a user had before was withdrawn. */
  readonly passwordIsGone: (name: string) => Promise<void>;
}

export function usersRpc({ store, accounts, passwordIsGone }: UsersParts): Binding {
  return implement(Users, {
    async createUser({ name, displayName, password, roles }, { signal }) {
      const isAdmin = roles.includes(Role.ADMIN);
      return toUserMessage(await accounts.create({ name, displayName, password, isAdmin }, signal));
    },
    async getUser({ name }) {
      const user = await store.getUser(name);
      if (!user) throw notFound(`Cannot show user "${name}": there is none of this name`, { reason: 'user_missing' });
      return toUserMessage(user);
    },
    async listUsers({ pageSize, pageToken }) {
      const size = pageSize || pageSizeDefault;
      const rows = await store.listUsers(decodePageToken('users', pageToken), size + 1);
      const [page, nextPageToken] = cutPage('users', rows, size, ({ name }) => name);
      return { users: page.map(toUserMessage), nextPageToken };
    },
    async updateUser({ name, user, updateMask }) {
      if (!user) throw invalidArgument(`Cannot change user "${name}": no fields were given`);
      return toUserMessage(await store.updateUser(name, changeOf(user, updateMask?.paths)));
    },
    async deleteUser({ name }) {
      await store.deleteUser(name);
      await passwordIsGone(name);
      return {};
    },
    async setPassword(request, { caller, signal }) {
      await accounts.setPassword(request, caller, signal);
      await passwordIsGone(request.name);
      return {};
    },
  });
}
