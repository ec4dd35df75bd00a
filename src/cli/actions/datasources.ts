import { isAbsolute, resolve } from 'node:path';
import { toJson } from '@bufbuild/protobuf';
import { Datasource_Kind, Datasource_KindSchema, DatasourceSchema, Datasources } from '#gen/cellar/data/v1/datasources_pb.ts';
import { SyncStatus_State } from '#gen/cellar/data/v1/sync_pb.ts';
import { invalidArgument } from '#kernel/fault.ts';
import type { CliContext } from '../command.ts';
import { enumWord, formatAge, formatBytes, formatCount } from '../output/format.ts';
import { ask } from '../prompt.ts';
import { describeDatasource, placeOf, stateWord } from './describe-datasource.ts';
import { client, show } from './support.ts';

export interface AddOptions {
  readonly buckets?: boolean;
  readonly remote?: string;
  readonly accessKey?: string;
  readonly secretKeyFile?: string;
  readonly region?: string;
}

export async function addDatasource(
  context: CliContext,
  name: string,
  given: string | undefined,
  options: AddOptions = {},
): Promise<void> {
  const connection = await context.connect();
  const wanted =
    options.remote === undefined
      ? {
          folder: folderOf(name, given, connection.isSameMachine),
          kind: options.buckets ? Datasource_Kind.BUCKETS : Datasource_Kind.FOLDER,
        }
      : { kind: Datasource_Kind.REMOTE, remote: await remoteOf(context, name, given, options) };
  const datasource = await connection
    .client(Datasources)
    .createDatasource({ datasource: { name, ...wanted } }, { signal: context.signal });
  const what = options.remote ?? datasource.folder;
  context.output.message(
    options.buckets
      ? `S3 tools can make buckets now; each is a folder in ${what}. In the tree they are below ${name}.`
      : `Serving ${what} as ${name}. Its files appear as they are found; "cellar datasource list" shows how far it is.`,
  );
  if (context.output.isJson) show(context, DatasourceSchema, datasource, () => '');
}

function folderOf(name: string, given: string | undefined, isSameMachine: boolean): string {
  if (given === undefined) {
    throw invalidArgument(`Cannot add ${name}: it is not said which folder it is`, {
      hint: 'Give a folder, or a bucket of another server with --remote.',
    });
  }
  if (!isAbsolute(given) && !isSameMachine) {
    throw invalidArgument(`Cannot add ${name}: "${given}" is not an absolute path`, {
      hint: 'The folder lies on the machine of the server; give its path from the root.',
    });
  }
  return isAbsolute(given) ? given : resolve(given);
}

async function remoteOf(context: CliContext, name: string, given: string | undefined, options: AddOptions) {
  const { remote = '', accessKey, secretKeyFile = '', region = '' } = options;
  const parts = /^(https?:\/\/[^/\s?#@]+)\/([^/?#]+)\/?(.*)$/.exec(remote);
  if (!parts || given !== undefined || options.buckets) {
    throw invalidArgument(`Cannot add ${name}: ${parts ? 'it is either a folder or remote' : `"${remote}" is no bucket`}`, {
      hint: 'Give an address such as --remote https://s3.example.org/bucket/prefix, and no folder.',
    });
  }
  if (!accessKey) throw invalidArgument(`Cannot add ${name}: the access key is missing`, { hint: 'Give it with --access-key.' });
  const [, endpoint = '', bucket = '', prefix = ''] = parts;
  const question = { text: `Secret of ${accessKey}: `, isSecret: true, signal: context.signal };
  const secretKey = secretKeyFile === '' ? (await ask(context.input, context.output, question)).trim() : '';
  return { endpoint, bucket, prefix, region, accessKey, secretKey, secretKeyFile };
}

export async function listDatasources(context: CliContext): Promise<void> {
  const { output } = context;
  const { datasources } = await (await client(context, Datasources)).listDatasources({}, { signal: context.signal });
  output.table(
    datasources,
    [
      { title: 'name', value: ({ name }) => name },
      {
        title: 'state',
        value: stateWord,
        paint: (word, { sync }) =>
          sync && sync.state !== SyncStatus_State.BLOCKED ? output.style.green(word) : output.style.red(word),
      },
      { title: 'files', isNumber: true, value: ({ sync }) => (sync ? formatCount(sync.files) : '') },
      { title: 'folders', isNumber: true, value: ({ sync }) => (sync ? formatCount(sync.folders) : '') },
      { title: 'size', isNumber: true, value: ({ sync }) => (sync ? formatBytes(sync.sizeBytes) : '') },
      { title: 'last full pass', value: ({ sync }) => formatAge(sync?.lastFullPass, Date.now()) },
      { title: 'kind', value: ({ kind }) => enumWord(Datasource_KindSchema, kind) },
      { title: 'where', value: placeOf },
    ],
    datasources.map((datasource) => toJson(DatasourceSchema, datasource, { alwaysEmitImplicit: true })),
  );
  if (output.isJson) return;
  for (const { name, sync } of datasources) if (sync?.reason) output.message(`${name}: ${sync.reason}`);
}

export async function removeDatasource(context: CliContext, name: string, options: { yes?: boolean }): Promise<void> {
  const datasources = await client(context, Datasources);
  const place = placeOf(await datasources.getDatasource({ name }, { signal: context.signal }));
  await context.confirm(`Stop serving ${place} as ${name}? Its files are left alone.`, options.yes);
  await datasources.deleteDatasource({ name }, { signal: context.signal });
  context.output.message(`${name} is no longer served. The files in ${place} were left alone.`);
}

export async function showDatasource(context: CliContext, name: string): Promise<void> {
  const datasource = await (await client(context, Datasources)).getDatasource({ name }, { signal: context.signal });
  show(context, DatasourceSchema, datasource, () => describeDatasource(datasource, context.output.style, Date.now()));
}

export async function pauseDatasource(context: CliContext, name: string, reason = ''): Promise<void> {
  const datasources = await client(context, Datasources);
  const datasource = await datasources.pauseDatasource({ name, reason }, { signal: context.signal });
  context.output.message(`${name} takes in no changes of other programs until "cellar datasource resume ${name}".`);
  if (context.output.isJson) show(context, DatasourceSchema, datasource, () => '');
}

export async function resumeDatasource(context: CliContext, name: string): Promise<void> {
  const datasource = await (await client(context, Datasources)).resumeDatasource({ name }, { signal: context.signal });
  context.output.message(`${name} goes on; what was missed is found by comparing.`);
  if (context.output.isJson) show(context, DatasourceSchema, datasource, () => '');
}
