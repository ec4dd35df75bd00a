import type { DescService } from '@bufbuild/protobuf';
import { Role } from '#gen/cellar/kernel/v1/options_pb.ts';
import type { Caller } from '#kernel/calls/caller.ts';
import { type Client, createClient } from '#kernel/calls/client.ts';
import { isHomeLocked } from '#kernel/process/lock.ts';
import { socketPath } from '#kernel/process/paths.ts';
import { createLocalChannel } from '#kernel/transports/local/channel.ts';
import type { CliContext } from '../command.ts';

/** Who asks through the local socket when no user is named: the account that runs the server, which its files' modes prove. */
const operator: Caller = { id: 'cellar.cli', name: 'operator', roles: [Role.USER, Role.ADMIN], scopes: ['*'], via: '' };

/** A client to use within `use`. */
export interface AdminClient<D extends DescService> extends AsyncDisposable {
  readonly client: Client<D>;
}

/**
 * A client for looking after the server: by its local socket when it runs with this home and no other was named, so that it works
 * without signing in and while the users service is down; else as any other command.
 */
export async function adminClient<D extends DescService>(context: CliContext, desc: D): Promise<AdminClient<D>> {
  const isRemote = context.server !== undefined || context.tokenFile !== undefined || context.actAs !== undefined;
  if (isRemote || !isHomeLocked(context.home)) {
    const connection = await context.connect();
    return { client: connection.client(desc), [Symbol.asyncDispose]: async () => undefined };
  }
  const channel = createLocalChannel({ path: socketPath(context.home, 'main') });
  return {
    client: createClient(desc, { route: () => ({ channel, service: '' }), caller: operator }),
    [Symbol.asyncDispose]: () => channel.close(),
  };
}
