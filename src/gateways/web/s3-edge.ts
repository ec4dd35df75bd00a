import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { timestampMs } from '@bufbuild/protobuf/wkt';
import type { DatasourcePlan } from '#data/plan.ts';
import { Objects } from '#gen/cellar/data/v1/objects_pb.ts';
import { anybody } from '#kernel/calls/caller.ts';
import type { Guard } from '#kernel/guard/guard.ts';
import type { Log } from '#kernel/log.ts';
import { tellClient } from '#kernel/process/client-of.ts';
import type { Registry } from '#kernel/services/registry.ts';
import type { Micro } from '#kernel/services/service.ts';
import { errorAnswer, writeAnswer } from '#s3/answer.ts';
import type { BucketInfo } from '#s3/backend.ts';
import { installation } from '#s3/bucket-settings.ts';
import { S3Error } from '#s3/errors.ts';
import { createS3Handler } from '#s3/handler.ts';
import { userOfCaller } from '#s3/user-of-caller.ts';
import { clientAddress, isSecure } from './client-address.ts';
import { bucketsOnly } from './s3-buckets.ts';

export interface S3EdgeOptions {
  readonly registry: Registry;
  readonly client: Micro['client'];
  readonly forward: Micro['forward'];
  readonly guard: Pick<Guard, 'keySecret' | 'verdict'>;
  readonly log: Log;
  readonly now: () => number;
  /** Every request to this host, or one below it, is S3; lower case; empty: none is known by its host. */
  readonly host: string;
  readonly trustsProxy: boolean;
}

export interface S3Edge {
  readonly isS3: (request: IncomingMessage) => boolean;
  /** Never rejects. */
  readonly handle: (request: IncomingMessage, response: ServerResponse) => Promise<void>;
}

const indexService = 'cellar.grpc.data.index.';

/**
 * The S3 door: hands requests to the objects service that has the bucket; of a name that no datasource has, to the one that makes buckets.
 * What belongs to no bucket, such as their list, and what names one that does not exist is answered here, after the signature was found
 * good: names are not told to strangers.
 */
export function createS3Edge({ registry, client, forward, guard, log, now, host, trustsProxy }: S3EdgeOptions): S3Edge {
  const plans = (): (DatasourcePlan & { readonly startTimeMs: number })[] =>
    registry.all
      .filter(({ service }) => service.startsWith(indexService))
      .map(({ plan, startTimeMs }) => ({ ...(plan as DatasourcePlan), startTimeMs }));
  const makingBuckets = (): DatasourcePlan | undefined => plans().find(({ kind }) => kind === 'buckets');
  const objectsOf = (bucket: string): string | undefined => {
    const declared = registry.get(indexService + bucket)?.plan as DatasourcePlan | undefined;
    if (declared && declared.kind !== 'buckets') return declared.objectsService;
    return bucket === '' ? undefined : makingBuckets()?.objectsService;
  };
  /** Of buckets that were made, as the last list has them. */
  const made = new Map<string, { readonly datasource: string }>();
  /** Those of datasources, and those that were made. */
  const listBuckets = async (): Promise<BucketInfo[]> => {
    const declared = plans()
      .filter(({ kind }) => kind !== 'buckets')
      .map(({ datasource, startTimeMs }) => ({ name: datasource, createdMs: startTimeMs, owner: installation }));
    const making = makingBuckets();
    const { buckets } = making ? await client(Objects, { service: making.objectsService }).listBuckets({}) : { buckets: [] };
    const names = new Set(declared.map(({ name }) => name));
    const others = buckets.filter(({ name }) => !names.has(name));
    made.clear();
    for (const { name } of others) made.set(name, { datasource: making?.datasource ?? '' });
    const all = [
      ...declared,
      ...others.map(({ name, createTime, ownerId, ownerName }) => ({
        name,
        createdMs: createTime ? timestampMs(createTime) : 0,
        owner: { id: ownerId, displayName: ownerName },
      })),
    ];
    return all.sort((a, b) => (a.name < b.name ? -1 : 1));
  };
  const own = createS3Handler({
    backend: bucketsOnly(listBuckets),
    authenticate: (accessKey) => guard.keySecret(accessKey),
    user: userOfCaller,
    verdict: async (caller = anybody, operation, bucket) => {
      // Whoever has a key may ask which buckets there are; each is then asked for by itself.
      if (operation === 'ListBuckets') return { kind: 'allowed' };
      const one = bucket === undefined ? undefined : made.get(bucket);
      const resource = one ? `data/${one.datasource}/${bucket}` : `data/${bucket}`;
      return await guard.verdict(caller, operation === 'HeadBucket' ? 'data:read' : 'data:write', resource);
    },
    log,
    now,
  });
  /** The base domain of a request whose host begins with a bucket's name; else empty. */
  const baseDomainOf = (request: IncomingMessage): string => (host !== '' && hostOf(request).endsWith(`.${host}`) ? host : '');
  return {
    isS3: (request) => {
      if (request.headers.authorization?.startsWith('AWS')) return true;
      const url = request.url ?? '';
      const mark = url.indexOf('?');
      if (mark >= 0 && /[?&](?:X-Amz-(?:Signature|Algorithm)|AWSAccessKeyId)=/i.test(url.slice(mark))) return true;
      if (host !== '' && (hostOf(request) === host || baseDomainOf(request) !== '')) return true;
      // What a browser asks before it sends a signed request is not signed itself.
      return request.method === 'OPTIONS' && /x-amz-/i.test(String(request.headers['access-control-request-headers']));
    },
    handle: async (request, response) => {
      const baseDomain = baseDomainOf(request);
      tellClient(request, {
        ...{ address: clientAddress(request, trustsProxy), isSecure: isSecure(request, trustsProxy) },
        ...(baseDomain === '' ? {} : { baseDomain }),
      });
      const bucket = baseDomain === '' ? bucketOf(request.url ?? '/') : hostOf(request).slice(0, -baseDomain.length - 1);
      const service = objectsOf(bucket);
      if (service === undefined) return await own(request, response);
      try {
        await forward(service, request, response);
      } catch (error) {
        log.warn('an S3 request could not be handed on', { target: service, error });
        await refuse(request, response, error, log);
      }
    },
  };
}

/** The host that was asked for, without port, in lower case. */
function hostOf({ headers }: IncomingMessage): string {
  const asked = headers.host ?? (headers[':authority'] as string | undefined) ?? '';
  return asked.replace(/:\d+$/, '').toLowerCase();
}

async function refuse(request: IncomingMessage, response: ServerResponse, error: unknown, log: Log): Promise<void> {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const requestId = randomBytes(8).toString('hex').toUpperCase();
  response.setHeader('x-amz-request-id', requestId);
  const path = (request.url ?? '/').replace(/\?.*/s, '');
  try {
    await writeAnswer(request, response, errorAnswer(S3Error.from(error), path, requestId));
  } catch (cause) {
    log.debug('an S3 refusal could not be sent', { error: cause });
  }
}

/** The first segment of the path; names of buckets need no encoding, and an encoded one is none of ours. */
function bucketOf(url: string): string {
  return /^\/([^/?]*)/.exec(url)?.[1] ?? '';
}
