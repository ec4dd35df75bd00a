import { Datasources } from '#gen/cellar/data/v1/datasources_pb.ts';
import { invalidArgument } from '#kernel/fault.ts';
import type { CliContext } from '../command.ts';
import { findRunning } from '../connection/running.ts';
import { formatFields } from '../output/table.ts';
import { client } from './support.ts';

export interface NotifyOptions {
  /** Of this server, as the other one reaches it. */
  readonly address?: string;
  readonly off?: boolean;
}

export async function notifyDatasource(context: CliContext, name: string, options: NotifyOptions): Promise<void> {
  const { output, signal } = context;
  const address = options.off ? undefined : await addressOf(context, options.address);
  const datasources = await client(context, Datasources);
  if (!address) {
    await datasources.deleteDatasourceNotificationToken({ name }, { signal });
    output.message(`${name} takes no notifications; what changes there is found by comparing listings.`);
    return;
  }
  const { token, path } = await datasources.createDatasourceNotificationToken({ name }, { signal });
  const url = new URL(path, address);
  const withToken = new URL(url);
  withToken.username = 'cellar';
  withToken.password = token;
  const made = { url: url.href, token, urlWithToken: withToken.href };
  output.message(
    'The token is shown this once. Servers that can be given a token send it as "Authorization: Bearer"; others get the address with it.',
  );
  output.result(made, () => formatFields({ address: made.url, token, 'address with it': made.urlWithToken }, output.style));
}

async function addressOf(context: CliContext, given: string | undefined): Promise<URL> {
  const text = given ?? context.server ?? (await findRunning(context.home))?.url ?? '';
  const address = URL.parse(text);
  if (address && /^https?:$/.test(address.protocol) && address.username === '') return address;
  throw invalidArgument(
    `Cannot say where notifications go: ${text === '' ? 'no address of this server is known' : `"${text}" is no web address`}`,
    {
      hint: 'Give the one that the other server reaches with --address https://HOST.',
    },
  );
}
