import { toJson } from '@bufbuild/protobuf';
import { CreateTokenResponseSchema, TokenSchema, Tokens } from '#gen/cellar/identity/v1/credentials_pb.ts';
import type { CliContext } from '../command.ts';
import { parseDuration } from '../duration.ts';
import { formatAge } from '../output/format.ts';
import { client, show } from './support.ts';

export async function createToken(
  context: CliContext,
  name: string,
  options: { scope?: string[]; expires?: string },
): Promise<void> {
  const lifetime = options.expires ? { lifetime: { seconds: BigInt(Math.ceil(parseDuration(options.expires))) } } : {};
  const tokens = await client(context, Tokens);
  const created = await tokens.createToken({ name, scopes: options.scope ?? [], ...lifetime }, { signal: context.signal });
  context.output.message(
    `Made the token ${created.info?.id ?? ''}; it ends ${formatAge(created.info?.expireTime, Date.now())}. It is shown this once:`,
  );
  show(context, CreateTokenResponseSchema, created, () => created.token);
}

export async function listTokens(context: CliContext): Promise<void> {
  const { tokens } = await (await client(context, Tokens)).listTokens({}, { signal: context.signal });
  const now = Date.now();
  context.output.table(
    tokens,
    [
      { title: 'id', value: ({ id }) => id },
      { title: 'name', value: ({ name }) => name },
      { title: 'scopes', value: ({ scopes }) => scopes.join(', ') },
      { title: 'created', value: ({ createTime }) => formatAge(createTime, now) },
      { title: 'ends', value: ({ expireTime }) => formatAge(expireTime, now) },
      { title: 'last used', value: ({ lastUseTime }) => formatAge(lastUseTime, now) },
    ],
    tokens.map((token) => toJson(TokenSchema, token, { alwaysEmitImplicit: true })),
  );
}

export async function removeTokens(context: CliContext, ids: readonly string[]): Promise<void> {
  const tokens = await client(context, Tokens);
  for (const id of ids) {
    await tokens.deleteToken({ id }, { signal: context.signal });
    context.output.message(`Withdrew the token ${id}.`);
  }
}
