import type { Datasource } from '#gen/cellar/data/v1/datasources_pb.ts';
import { failedPrecondition, invalidArgument } from '#kernel/fault.ts';
import { type DatasourceSettings, planData, type RemoteBucket } from '../../plan.ts';

/**
 * The bucket of another server as it is to be stored. `existing` is what is served already, by datasource.
 * Errors: `invalid_argument` when something is not said; `failed_precondition` when its objects are served already.
 */
export function checkRemote(
  name: string,
  { remote }: Pick<Datasource, 'remote'>,
  existing: Readonly<Record<string, DatasourceSettings>>,
): RemoteBucket {
  if (!remote) {
    throw invalidArgument(`Cannot serve a remote bucket as "${name}": it is not said which`, { reason: 'remote_missing' });
  }
  if ((remote.secretKey === '') === (remote.secretKeyFile === '')) {
    throw invalidArgument(`Cannot serve a remote bucket as "${name}": give its secret key, or a file with it`, {
      reason: 'secret_missing',
    });
  }
  const { endpoint, bucket, prefix, region, accessKey } = remote;
  const place: RemoteBucket = {
    endpoint: endpoint.replace(/\/$/, ''),
    bucket,
    prefix: prefix === '' || prefix.endsWith('/') ? prefix : `${prefix}/`,
    region: region || 'us-east-1',
    accessKey,
  };
  const problem = planData({ ...existing, [name]: { kind: 'remote', remote: place } }, {}).problems[name];
  if (!problem) return place;
  throw failedPrecondition(`Cannot serve ${place.endpoint}/${bucket}/${prefix} as "${name}": ${problem}`, {
    reason: 'remote_overlaps',
    hint: 'Choose another bucket or prefix.',
  });
}
