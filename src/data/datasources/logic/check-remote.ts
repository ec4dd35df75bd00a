import { readFile } from 'node:fs/promises';
import type { Datasource } from '#gen/cellar/data/v1/datasources_pb.ts';
import { Fault, failedPrecondition, invalidArgument } from '#kernel/fault.ts';
import { RemoteClient } from '#s3/remote/remote-client.ts';
import { listRemote } from '#s3/remote/remote-listing.ts';
import { type DatasourceSettings, planData, type RemoteBucket } from '../../plan.ts';

/** How long the other server may take to show that it is there. Unit: milliseconds. */
const checkMsMax = 15_000;

/**
 * The bucket of another server as it is to be stored. `existing` is what is served already, by datasource.
 * Errors: `invalid_argument` when something is not said; `failed_precondition` when its objects are served already, or when the server does
 * not answer, does not let us in or has no such bucket.
 */
export async function checkRemote(
  name: string,
  { remote }: Pick<Datasource, 'remote'>,
  existing: Readonly<Record<string, DatasourceSettings>>,
  signal: AbortSignal,
): Promise<RemoteBucket> {
  if (!remote) {
    throw invalidArgument(`Cannot serve a remote bucket as "${name}": it is not said which`, { reason: 'remote_missing' });
  }
  const { endpoint, bucket, prefix, region, accessKey, secretKey, secretKeyFile } = remote;
  if ((secretKey === '') === (secretKeyFile === '')) {
    throw invalidArgument(`Cannot serve a remote bucket as "${name}": give its secret key, or a file with it`, {
      reason: 'secret_missing',
    });
  }
  const place: RemoteBucket = {
    endpoint: endpoint.replace(/\/$/, ''),
    bucket,
    prefix: prefix === '' || prefix.endsWith('/') ? prefix : `${prefix}/`,
    region: region || 'us-east-1',
    accessKey,
  };
  const problem = planData({ ...existing, [name]: { kind: 'remote', remote: place } }, {}).problems[name];
  if (problem) {
    throw failedPrecondition(`Cannot serve ${place.endpoint}/${bucket}/${prefix} as "${name}": ${problem}`, {
      reason: 'remote_overlaps',
      hint: 'Choose another bucket or prefix.',
    });
  }
  await assertAnswers(name, place, secretKey === '' ? await readSecret(name, secretKeyFile) : secretKey, signal);
  return place;
}

async function assertAnswers(name: string, place: RemoteBucket, secretKey: string, signal: AbortSignal): Promise<void> {
  const ending = new AbortController();
  const client = new RemoteClient({
    account: { ...place, secretKey: async () => secretKey },
    signal: AbortSignal.any([signal, ending.signal, AbortSignal.timeout(checkMsMax)]),
  });
  try {
    await listRemote(client, place, { prefix: '', delimiter: '/', after: '', limit: 1 });
  } catch (error) {
    signal.throwIfAborted();
    const { message, hint = 'Check the address, the keys and whether this machine may reach it.', reason } = Fault.from(error);
    throw failedPrecondition(`Cannot serve a remote bucket as "${name}": ${message}`, { reason, hint, cause: error });
  } finally {
    ending.abort();
    client.close();
  }
}

async function readSecret(name: string, path: string): Promise<string> {
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (cause) {
    throw failedPrecondition(`Cannot serve a remote bucket as "${name}": ${path} cannot be read: ${(cause as Error).message}`, {
      reason: 'secret_missing',
      hint: 'The file lies on the machine of the server.',
      cause,
    });
  }
}
