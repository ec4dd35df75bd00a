import { toJson } from '@bufbuild/protobuf';
import { KeySchema, Keys } from '#gen/cellar/identity/v1/credentials_pb.ts';
import type { CliContext } from '../command.ts';
import { formatAge } from '../output/format.ts';
import { client } from './support.ts';

export async function createKey(context: CliContext, name: string): Promise<void> {
  const { accessKey, secretKey } = await (await client(context, Keys)).createKey({ name }, { signal: context.signal });
  context.output.message('Made a key pair. The secret is shown this once; these lines set it for aws and the like:');
  context.output.result({ accessKey, secretKey }, () =>
    [`export AWS_ACCESS_KEY_ID=${accessKey}`, `export AWS_SECRET_ACCESS_KEY=${secretKey}`].join('\n'),
  );
}

export async function listKeys(context: CliContext): Promise<void> {
  const { keys } = await (await client(context, Keys)).listKeys({}, { signal: context.signal });
  context.output.table(
    keys,
    [
      { title: 'access key', value: ({ accessKey }) => accessKey },
      { title: 'name', value: ({ name }) => name },
      { title: 'created', value: ({ createTime }) => formatAge(createTime, Date.now()) },
    ],
    keys.map((key) => toJson(KeySchema, key, { alwaysEmitImplicit: true })),
  );
}

export async function removeKeys(context: CliContext, accessKeys: readonly string[]): Promise<void> {
  const keys = await client(context, Keys);
  for (const accessKey of accessKeys) {
    await keys.deleteKey({ accessKey }, { signal: context.signal });
    context.output.message(`Withdrew the key ${accessKey}.`);
  }
}
