import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Log } from '#kernel/log.ts';
import {
  type Authorization,
  assertTimely,
  isSignatureValid,
  parseAuthorization,
  SigV4Error,
  type SigV4Problem,
  signingKey,
} from '#lib/sigv4.ts';
import { parseXml, XmlError } from '#lib/xml.ts';
import { errorAnswer, type S3Answer, writeAnswer } from './answer.ts';
import type { Backend } from './backend.ts';
import { assertPayloadHash, createBody } from './body.ts';
import { defaultLimits, type S3Call, type S3Limits } from './call.ts';
import { type S3Code, S3Error } from './errors.ts';
import type { OperationName } from './operation-names.ts';
import { operations } from './operations.ts';
import { readHead, type S3RequestHead } from './request.ts';
import { parseTarget, routeOperation, type Target } from './router.ts';

export interface S3HandlerOptions<Caller> {
  readonly backend: Backend;
  /** The secret of an access key and who has it; `undefined` when there is no such key. */
  readonly authenticate: (accessKey: string) => Promise<{ readonly secret: string; readonly caller: Caller } | undefined>;
  /** Throws a `permission_denied` fault when the caller may not. `bucket` and `key` are absent where the operation has none. */
  readonly authorize: (
    caller: Caller,
    operation: OperationName,
    bucket: string | undefined,
    key: string | undefined,
  ) => Promise<void>;
  readonly log: Log;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
  /** The region that signatures must name; `us-east-1` when absent. */
  readonly region?: string;
  readonly limits?: Partial<S3Limits>;
  /** With `s3.example.org`, buckets are also reachable as `<bucket>.s3.example.org`. */
  readonly baseDomain?: string;
  readonly newRequestId?: () => string;
}

export type S3Handler = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

/**
 * Answers S3 requests from a backend. Never rejects: every failure is answered as S3 XML and those of ours are logged.
 *
 * Use it for both `request` and `checkContinue` of a `node:http` server: with the second, a client that waits for
 * `100 Continue` sends its body only after its signature and rights were found good.
 */
export function createS3Handler<Caller>(options: S3HandlerOptions<Caller>): S3Handler {
  const {
    backend,
    log,
    now = Date.now,
    region = 'us-east-1',
    newRequestId = () => randomBytes(8).toString('hex').toUpperCase(),
  } = options;
  const limits = { ...defaultLimits, ...options.limits };

  return async (request, response) => {
    const startMs = now();
    const requestId = newRequestId();
    response.setHeader('x-amz-request-id', requestId);
    response.setHeader('server', 'Cellar');
    const fields: { operation?: OperationName; bucket?: string; key?: string } = {};
    const answer = await run(request, response, fields).catch((cause: unknown): S3Answer => {
      const error = S3Error.from(cause);
      if (error.status >= 500 && error.status !== 501)
        log.error('S3 request failed', { requestId, ...fields, code: error.code, error: cause });
      return errorAnswer(error, (request.url ?? '/').replace(/\?.*/s, ''), requestId);
    });
    let outcome: string;
    try {
      outcome = await writeAnswer(request, response, answer);
    } catch (error) {
      outcome = 'broken';
      log.error('S3 answer could not be sent whole', { requestId, ...fields, error });
    }
    log.debug('S3 request', { requestId, ...fields, status: response.statusCode, outcome, durationMs: now() - startMs });
  };

  async function run(
    request: IncomingMessage,
    response: ServerResponse,
    fields: { operation?: OperationName; bucket?: string; key?: string },
  ): Promise<S3Answer> {
    const head = readHead(request);
    const { authorization, secret, caller } = await authenticate(head);
    const target = parseTarget(head.path, head.headers.get('host'), options.baseDomain);
    assertTarget(target);
    const operation = routeOperation(head.method, target, head.queryByName, head.headers.has('x-amz-copy-source'));
    Object.assign(fields, { operation, ...target });
    await options.authorize(caller, operation, target.bucket || undefined, target.key || undefined);
    const body = (sizeBytesMax: number) =>
      createBody({
        request,
        headers: head.headers,
        payloadHash: authorization.payloadHash,
        signing: {
          key: signingKey(secret, authorization.scope),
          scope: authorization.scope,
          timestamp: authorization.timestamp,
          seed: authorization.signature,
        },
        sizeBytesMax,
        onStart: () => {
          if (/^100-continue$/i.test(head.headers.get('expect') ?? '')) response.writeContinue();
        },
      });
    const call: S3Call = {
      backend,
      ...target,
      query: head.queryByName,
      headers: head.headers,
      region,
      limits,
      body: () => body(limits.bodySizeBytesMax),
      xml: async (rootName) => {
        const { bytes, verify } = body(limits.xmlSizeBytesMax);
        const chunks = await Array.fromAsync(bytes);
        await verify();
        try {
          return parseXml(new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks)), rootName);
        } catch (error) {
          if (error instanceof XmlError || error instanceof TypeError)
            throw new S3Error('MalformedXML', undefined, { cause: error });
          throw error;
        }
      },
      authorize: (other, bucket, key) => options.authorize(caller, other, bucket, key),
    };
    return await operations[operation](call);
  }

  async function authenticate(head: S3RequestHead): Promise<{ authorization: Authorization; secret: string; caller: Caller }> {
    try {
      const authorization = parseAuthorization(head);
      if (!authorization) throw unsignedError(head);
      assertScope(authorization);
      const known = await options.authenticate(authorization.accessKey);
      if (!known) throw new S3Error('InvalidAccessKeyId', undefined, { fields: { AWSAccessKeyId: authorization.accessKey } });
      assertTimely(authorization, now());
      if (!isSignatureValid(head, authorization, known.secret)) {
        throw new S3Error('SignatureDoesNotMatch', undefined, { fields: { AWSAccessKeyId: authorization.accessKey } });
      }
      assertPayloadHash(authorization.payloadHash);
      return { authorization, ...known };
    } catch (error) {
      throw error instanceof SigV4Error ? new S3Error(byProblem[error.problem], error.message, { cause: error }) : error;
    }
  }

  function assertScope({ kind, scope }: Authorization): void {
    const code = kind === 'header' ? 'AuthorizationHeaderMalformed' : 'AuthorizationQueryParametersError';
    if (scope.service !== 's3') throw new S3Error(code, `The service "${scope.service}" is wrong; expecting "s3"`);
    if (scope.region !== region) {
      throw new S3Error(code, `The region "${scope.region}" is wrong; expecting "${region}"`, { fields: { Region: region } });
    }
  }

  function assertTarget({ bucket, key }: Target): void {
    if (bucket !== '' && !/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(bucket)) {
      throw new S3Error('InvalidBucketName', undefined, { fields: { BucketName: bucket } });
    }
    if (Buffer.byteLength(key) > limits.keySizeBytesMax) {
      throw new S3Error('KeyTooLongError', undefined, { fields: { MaxSizeAllowed: String(limits.keySizeBytesMax) } });
    }
  }
}

function unsignedError(head: S3RequestHead): S3Error {
  const isOldSignature = head.headers.get('authorization')?.startsWith('AWS ') || head.queryByName.has('AWSAccessKeyId');
  if (head.headers.has('authorization') || isOldSignature) {
    return new S3Error(
      'InvalidRequest',
      'The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.',
    );
  }
  return new S3Error('AccessDenied', 'Anonymous access is denied: sign the request');
}

const byProblem: Readonly<Record<SigV4Problem, S3Code>> = {
  malformed_header: 'AuthorizationHeaderMalformed',
  malformed_query: 'AuthorizationQueryParametersError',
  missing_date: 'AccessDenied',
  missing_payload_hash: 'InvalidRequest',
  unsigned_header: 'AccessDenied',
  skewed: 'RequestTimeTooSkewed',
  not_yet_valid: 'AccessDenied',
  expired: 'AccessDenied',
};
