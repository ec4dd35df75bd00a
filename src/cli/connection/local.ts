import { type User, Users } from '#gen/cellar/identity/v1/users_pb.ts';
import { Role } from '#gen/cellar/kernel/v1/options_pb.ts';
import type { Caller } from '#kernel/calls/caller.ts';
import { createClient } from '#kernel/calls/client.ts';
import { failedPrecondition } from '#kernel/fault.ts';
import { socketPath } from '#kernel/process/paths.ts';
import { createLocalChannel } from '#kernel/transports/local/channel.ts';
import type { Connection } from '../command.ts';

/**
 * The local socket of the server that runs with this home. Whoever may open it is the account that runs the server, and so may act as
 * anybody there: as `actAs`, else as the first administrator.
 */
export async function connectLocal(home: string, actAs: string | undefined, signal: AbortSignal): Promise<Connection> {
  const channel = createLocalChannel({ path: socketPath(home, 'main') });
  const route = () => ({ channel, service: '' });
  try {
    const users = createClient(Users, { route, caller: operator });
    const user = actAs ? await users.getUser({ name: actAs }, { signal }) : firstAdmin(await listUsers(users, signal));
    const caller: Caller = { id: user.id, name: user.name, roles: user.roles, scopes: ['*'], via: '' };
    return {
      address: `the local server of ${home}`,
      isSameMachine: true,
      client: (desc) => createClient(desc, { route, caller }),
      [Symbol.asyncDispose]: () => channel.close(),
    };
  } catch (error) {
    await channel.close();
    throw error;
  }
}

/** Who asks for the users; nothing else is done in this name. */
const operator: Caller = { id: 'cellar.cli', name: 'cellar', roles: [Role.USER, Role.ADMIN], scopes: ['*'], via: '' };

async function listUsers(users: ReturnType<typeof createClient<typeof Users>>, signal: AbortSignal): Promise<readonly User[]> {
  const found: User[] = [];
  let pageToken = '';
  do {
    const answer = await users.listUsers({ pageSize: 1000, pageToken }, { signal });
    found.push(...answer.users);
    pageToken = answer.nextPageToken;
  } while (pageToken);
  return found;
}

function firstAdmin(users: readonly User[]): User {
  const admins = users.filter(({ roles, disabled }) => !disabled && roles.includes(Role.ADMIN));
  const admin = admins.find(({ name }) => name === 'admin') ?? admins[0];
  if (!admin) throw failedPrecondition('Cannot act on this server: it has no administrator that is enabled');
  return admin;
}
