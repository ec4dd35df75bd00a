import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Log } from '#kernel/log.ts';
import { clientOf } from '#kernel/process/client-of.ts';
import type { ChecksumAlgorithm } from '#lib/checksum.ts';
import { sandboxPolicy } from '#lib/sandbox-policy.ts';
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

/** One answered request, for metrics and audit. What could not be read from it is absent. */
export interface S3Record<Caller> {
  readonly operation: OperationName | undefined;
  readonly caller: Caller | undefined;
  readonly bucket: string;
  readonly key: string;
  /** HTTP status. */
  readonly status: number;
  /** `ok`, or the S3 code of the error. */
  readonly code: string;
  /** Unit: milliseconds. */
  readonly durationMs: number;
}

export interface S3HandlerOptions<Caller> {
  readonly backend: Backend;
  /** The secret of an access key and who has it; `undefined` when there is no such key. */
  readonly authenticate: (accessKey: string) => Promise<{ readonly secret: string; readonly caller: Caller } | undefined>;
  /**
   * Throws a `permission_denied` fault when the caller may not. `bucket` and `key` are absent where the operation has none. Of a listing
   * `key` is the folder whose names it tells; `isDeep`: and those of all folders below it.
   */
  readonly authorize: (
    caller: Caller,
    operation: OperationName,
    bucket: string | undefined,
    key: string | undefined,
    isDeep?: boolean,
  ) => Promise<void>;
  /** Called once after every request, whatever its outcome; must not throw. */
  readonly observe?: (record: S3Record<Caller>) => void;
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

/** An object may be a page that somebody opens by a presigned link: it must not act in the name of the origin it came from. */
const browserHeaders = [
  ['content-security-policy', sandboxPolicy],
  ['x-content-type-options', 'nosniff'],
] as const;

/** What is known of a request so far. */
interface Fields<Caller> {
  operation?: OperationName;
  caller?: Caller;
  bucket?: string;
  key?: string;
}

/** Without the caller: the audit says who, the log says what. */
function loggable<Caller>({ operation, bucket, key }: Fields<Caller>): Record<string, string | undefined> {
  return { operation, bucket, key };
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
    const startMs = performance.now();
    const requestId = newRequestId();
    response.setHeader('x-amz-request-id', requestId);
    response.setHeader('server', 'Cellar');
    for (const [name, value] of browserHeaders) response.setHeader(name, value);
    const fields: Fields<Caller> = {};
    let code = 'ok';
    const answer = await run(request, response, fields).catch((cause: unknown): S3Answer => {
      const error = S3Error.from(cause);
      code = error.code;
      if (error.status >= 500 && error.status !== 501)
        log.error('S3 request failed', { requestId, ...loggable(fields), code, error: cause });
      return errorAnswer(error, (request.url ?? '/').replace(/\?.*/s, ''), requestId);
    });
    let outcome: string;
    try {
      outcome = await writeAnswer(request, response, answer);
    } catch (error) {
      outcome = 'broken';
      log.error('S3 answer could not be sent whole', { requestId, ...loggable(fields), error });
    }
    const durationMs = performance.now() - startMs;
    const { operation, caller, bucket = '', key = '' } = fields;
    log.debug('S3 request', { requestId, ...loggable(fields), status: response.statusCode, outcome, durationMs });
    options.observe?.({ operation, caller, bucket, key, status: response.statusCode, code, durationMs });
  };

  async function run(request: IncomingMessage, response: ServerResponse, fields: Fields<Caller>): Promise<S3Answer> {
    const head = readHead(request);
    const { authorization, secret, caller } = await authenticate(head);
    const baseDomain = clientOf(request).baseDomain ?? options.baseDomain;
    const target = parseTarget(head.path, head.headers.get('host'), baseDomain);
    assertTarget(target);
    const operation = routeOperation(head.method, target, head.queryByName, head.headers.has('x-amz-copy-source'));
    Object.assign(fields, { operation, caller, ...target });
    const listed = listings.has(operation) ? listedFolder(head.queryByName) : undefined;
    await options.authorize(
      caller,
      operation,
      target.bucket || undefined,
      (listed?.folder ?? target.key) || undefined,
      listed?.isDeep,
    );
    const body = (sizeBytesMax: number, checksumAlgorithm?: ChecksumAlgorithm, ignoresChecksums = false) =>
      createBody({
        checksumAlgorithm,
        ignoresChecksums,
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
      nowMs: now(),
      body: (algorithm) => body(limits.bodySizeBytesMax, algorithm),
      xml: async (rootName, isAboutObject) => {
        const { bytes, verify } = body(limits.xmlSizeBytesMax, undefined, isAboutObject);
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

const listings: ReadonlySet<OperationName> = new Set(['ListObjects', 'ListObjectsV2', 'ListMultipartUploads']);

/** The folder all keys of a listing lie in, and whether the keys of its subfolders are told as well. */
function listedFolder(query: ReadonlyMap<string, string>): { readonly folder: string; readonly isDeep: boolean } {
  const prefix = query.get('prefix') ?? '';
  return { folder: prefix.slice(0, Math.max(0, prefix.lastIndexOf('/'))), isDeep: query.get('delimiter') !== '/' };
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
