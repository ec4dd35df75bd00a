import type { ChunkSigning } from '#lib/aws-chunked.ts';
import { type AuthorizationV2, isSignatureV2Valid, parseAuthorizationV2, stringToSignV2 } from '#lib/sigv2.ts';
import {
  type Authorization,
  assertTimely,
  isSignatureValid,
  parseAuthorization,
  type Scope,
  SigV4Error,
  type SigV4Problem,
  signingKey,
  unsignedPayload,
} from '#lib/sigv4.ts';
import type { RequestFacts } from './access/context.ts';
import { assertPayloadHash } from './body.ts';
import type { FormSignature } from './call.ts';
import { type S3Code, S3Error } from './errors.ts';
import type { S3RequestHead } from './request.ts';

/** Who sent a request, once it was found that they did. */
export interface Identity<Caller> {
  /** Absent: nobody signed it. */
  readonly caller: Caller | undefined;
  /** What the signature says about the body: a SHA-256, or one of the `UNSIGNED-` and `STREAMING-` words. */
  readonly payloadHash: string;
  /** Checks the signatures of the body's chunks. */
  readonly signing?: () => ChunkSigning;
  readonly signature: RequestFacts['signature'];
}

export interface AuthenticateOptions<Caller> {
  readonly keySecret: (accessKey: string) => Promise<{ readonly secret: string; readonly caller: Caller } | undefined>;
  readonly region: string;
  readonly allowsSignatureV2: boolean;
}

export interface Authenticate<Caller> {
  /** Who signed the policy of a form. Errors: as `request`. */
  form(signed: FormSignature): Promise<Identity<Caller>>;
  /**
   * Who sent a request. `resource`: its decoded path with the bucket first, also when that is in the host's name.
   * Errors: what S3 says of a signature that is wrong, late or unreadable.
   */
  request(head: S3RequestHead, resource: string, nowMs: number): Promise<Identity<Caller>>;
}

const clockSkewMsMax = 15 * 60_000;

export function createAuthenticate<Caller>(options: AuthenticateOptions<Caller>): Authenticate<Caller> {
  const { region } = options;
  const key = async (accessKey: string): Promise<{ readonly secret: string; readonly caller: Caller }> => {
    const known = await options.keySecret(accessKey);
    if (!known) throw new S3Error('InvalidAccessKeyId', undefined, { fields: { AWSAccessKeyId: accessKey } });
    return known;
  };
  /** A signature for another service or region is none for us. */
  const assertScope = (kind: 'header' | 'query', scope: Scope): void => {
    const code = kind === 'header' ? 'AuthorizationHeaderMalformed' : 'AuthorizationQueryParametersError';
    if (scope.service !== 's3') throw new S3Error(code, `The service "${scope.service}" is wrong; expecting "s3"`);
    // Tools that know no region leave it empty.
    if (scope.region !== region && scope.region !== '') {
      throw new S3Error(code, `The region "${scope.region}" is wrong; expecting "${region}"`, { fields: { Region: region } });
    }
  };

  async function byV4(head: S3RequestHead, authorization: Authorization, nowMs: number): Promise<Identity<Caller>> {
    const { kind, scope, timestamp, signature, payloadHash, accessKey, timeMs } = authorization;
    assertScope(kind, scope);
    const { secret, caller } = await key(accessKey);
    assertTimely(authorization, nowMs);
    if (!isSignatureValid(head, authorization, secret)) throw mismatch(accessKey);
    assertPayloadHash(payloadHash);
    return {
      caller,
      payloadHash,
      signing: () => ({ key: signingKey(secret, scope), scope, timestamp, seed: signature }),
      signature: { type: kind === 'header' ? 'REST-HEADER' : 'REST-QUERY-STRING', version: 'AWS4-HMAC-SHA256', timeMs },
    };
  }

  async function byV2(
    head: S3RequestHead,
    authorization: AuthorizationV2,
    resource: string,
    nowMs: number,
  ): Promise<Identity<Caller>> {
    const { kind, accessKey, signature, timeMs } = authorization;
    if (!options.allowsSignatureV2) throw unsupported();
    if (accessKey === '' || signature === '') throw new S3Error('InvalidArgument', 'The authorization is malformed');
    const { secret, caller } = await key(accessKey);
    if (!(timeMs >= 0)) throw new S3Error('AccessDenied', 'AWS authentication requires a valid Date or x-amz-date header');
    if (kind === 'query' && nowMs > timeMs) throw new S3Error('AccessDenied', 'Request has expired');
    if (kind === 'header' && Math.abs(nowMs - timeMs) > clockSkewMsMax) throw new S3Error('RequestTimeTooSkewed');
    // Some tools sign a bucket with the slash that they do not send.
    const resources = /^\/[^/]+$/.test(resource) ? [resource, `${resource}/`] : [resource];
    if (!resources.some((one) => isSignatureV2Valid(secret, stringToSignV2(head, authorization, one), signature)))
      throw mismatch(accessKey);
    const type = kind === 'header' ? 'REST-HEADER' : 'REST-QUERY-STRING';
    return { caller, payloadHash: unsignedBody(head), signature: { type, version: 'AWS', timeMs } };
  }

  return {
    async form({ accessKey, version, scope, timeMs, isValid }) {
      if (scope) assertScope('query', scope);
      else if (!options.allowsSignatureV2) throw unsupported();
      const { secret, caller } = await key(accessKey);
      if (!isValid(secret)) throw mismatch(accessKey);
      return { caller, payloadHash: unsignedPayload, signature: { type: 'POST', version, timeMs } };
    },
    async request(head, resource, nowMs) {
      try {
        const header = head.headers.get('authorization')?.trim() ?? '';
        const query = head.queryByName;
        if (header !== '' && (query.has('X-Amz-Signature') || query.has('X-Amz-Algorithm')))
          throw new S3Error('InvalidArgument', 'Only one auth mechanism allowed; use the query or the Authorization header');
        const v4 = parseAuthorization(head);
        if (v4) return await byV4(head, v4, nowMs);
        const v2 = parseAuthorizationV2(head);
        if (v2) return await byV2(head, v2, resource, nowMs);
        if (header !== '') throw unsupported();
        return { caller: undefined, payloadHash: unsignedBody(head), signature: undefined };
      } catch (error) {
        throw error instanceof SigV4Error ? new S3Error(byProblem[error.problem], error.message, { cause: error }) : error;
      }
    },
  };
}

/** How a body is checked that no signature covers: by its own hash when it has one. Errors: `InvalidRequest` for signed chunks. */
function unsignedBody({ headers }: S3RequestHead): string {
  const payloadHash = headers.get('x-amz-content-sha256') ?? unsignedPayload;
  assertPayloadHash(payloadHash);
  if (payloadHash.startsWith('STREAMING-AWS4-'))
    throw new S3Error('InvalidRequest', 'Signed chunks need a request that is signed by AWS4-HMAC-SHA256');
  return payloadHash;
}

const mismatch = (accessKey: string): S3Error =>
  new S3Error('SignatureDoesNotMatch', undefined, { fields: { AWSAccessKeyId: accessKey } });

const unsupported = (): S3Error =>
  new S3Error('InvalidRequest', 'The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.');

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
