import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { DatasourcePlan } from '#data/plan.ts';
import type { Guard } from '#kernel/guard/guard.ts';
import type { Log } from '#kernel/log.ts';
import type { Registry } from '#kernel/services/registry.ts';
import type { Micro } from '#kernel/services/service.ts';
import { errorAnswer, writeAnswer } from '#s3/answer.ts';
import { installation } from '#s3/bucket-settings.ts';
import { S3Error } from '#s3/errors.ts';
import { createS3Handler } from '#s3/handler.ts';
import { bucketsOnly } from './s3-buckets.ts';

export interface S3EdgeOptions {
  readonly registry: Registry;
  readonly forward: Micro['forward'];
  readonly guard: Pick<Guard, 'keySecret' | 'assertAllowed'>;
  readonly log: Log;
  readonly now: () => number;
  /** Every request to this host is S3; empty: none is known by its host. */
  readonly host: string;
}

export interface S3Edge {
  readonly isS3: (request: IncomingMessage) => boolean;
  /** Never rejects. */
  readonly handle: (request: IncomingMessage, response: ServerResponse) => Promise<void>;
}

const indexService = 'cellar.grpc.data.index.';

/**
 * The S3 door: hands requests to the objects service that has the bucket. What belongs to no bucket, such as their list, and what
 * names one that does not exist is answered here, after the signature was found good: names are not told to strangers.
 */
export function createS3Edge({ registry, forward, guard, log, now, host }: S3EdgeOptions): S3Edge {
  const objectsOf = (bucket: string): string | undefined =>
    (registry.get(indexService + bucket)?.plan as DatasourcePlan | undefined)?.objectsService;
  const own = createS3Handler({
    backend: bucketsOnly(() =>
      registry.all
        .filter(({ service }) => service.startsWith(indexService))
        .map(({ plan, startTimeMs }) => ({
          name: (plan as DatasourcePlan).datasource,
          createdMs: startTimeMs,
          owner: installation,
        })),
    ),
    authenticate: (accessKey) => guard.keySecret(accessKey),
    authorize: async (caller, operation, bucket) => {
      // Whoever has a key may ask which buckets there are; each is then asked for by itself.
      if (operation === 'ListBuckets') return;
      await guard.assertAllowed(caller, operation === 'HeadBucket' ? 'data:read' : 'data:write', `data/${bucket}`);
    },
    log,
    now,
  });
  return {
    isS3: (request) => {
      const { authorization, host: asked = String(request.headers[':authority'] ?? '') } = request.headers;
      if (authorization?.startsWith('AWS')) return true;
      const url = request.url ?? '';
      const mark = url.indexOf('?');
      if (mark >= 0 && /[?&]X-Amz-(?:Signature|Algorithm)=/i.test(url.slice(mark))) return true;
      return host !== '' && asked.replace(/:\d+$/, '').toLowerCase() === host;
    },
    handle: async (request, response) => {
      const service = objectsOf(bucketOf(request.url ?? '/'));
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
