import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Log } from '#kernel/log.ts';
import { clientOf } from '#kernel/process/client-of.ts';
import type { ChecksumAlgorithm } from '#lib/checksum.ts';
import { sandboxPolicy } from '#lib/sandbox-policy.ts';
import { unsignedPayload } from '#lib/sigv4.ts';
import { parseXml, XmlError, type XmlNode } from '#lib/xml.ts';
import type { Users } from './access/acl.ts';
import { type Asker, type AskPlatform, createAuthorize } from './access/authorize.ts';
import { looks } from './access/decide.ts';
import { acting } from './actor.ts';
import { errorAnswer, type S3Answer, writeAnswer } from './answer.ts';
import { createAuthenticate, type Identity } from './authenticate.ts';
import type { Backend, BucketInfo, ObjectBody } from './backend.ts';
import { createBody } from './body.ts';
import type { BucketSettings } from './bucket-settings.ts';
import { type AuthorizeMore, defaultLimits, type S3Call, type S3Limits, type S3User } from './call.ts';
import { answerCors, preflight } from './cors.ts';
import { S3Error } from './errors.ts';
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
  /** Who a caller is in the words of S3. */
  readonly user: (caller: Caller) => S3User;
  readonly verdict: AskPlatform<Caller>;
  /** Finds those ACLs speak of; absent: there is nobody. */
  readonly users?: Users;
  /** Signatures of the old kind (HMAC-SHA1) are accepted; they cover less than those of today. */
  readonly allowsSignatureV2?: boolean;
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

const nobody: Users = { byId: async () => undefined };

/** Stands for the process in every answer, for those who compare logs. */
const hostId = randomBytes(24).toString('base64');

/** An object may be a page that somebody opens by a presigned link: it must not act in the name of the origin it came from. */
const commonHeaders = {
  server: 'Cellar',
  'x-amz-id-2': hostId,
  'content-security-policy': sandboxPolicy,
  'x-content-type-options': 'nosniff',
};

const idPrefix = randomBytes(4).toString('hex').toUpperCase();
let lastId = 0;

/** The ids of a process begin with what only it has, and are counted: nothing depends on nobody guessing them. */
function numbered(): string {
  lastId = (lastId + 1) % 2 ** 32;
  return idPrefix + lastId.toString(16).toUpperCase().padStart(8, '0');
}

/** What is known of a request so far. */
interface Fields<Caller> {
  operation?: OperationName;
  caller?: Caller | undefined;
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
  const { backend, log, now = Date.now, region = 'us-east-1', newRequestId = numbered } = options;
  const limits = { ...defaultLimits, ...options.limits };
  const { users = nobody, allowsSignatureV2 = false } = options;
  const authenticate = createAuthenticate({ keySecret: options.authenticate, region, allowsSignatureV2 });
  const authorize = createAuthorize(backend, options.verdict);

  return async (request, response) => {
    const startMs = performance.now();
    const requestId = newRequestId();
    // Held back and sent in one go: setting headers one by one costs more than all else about them.
    const common: Record<string, string> = { ...commonHeaders, 'x-amz-request-id': requestId };
    const fields: Fields<Caller> = {};
    let code = 'ok';
    const answer = await run(request, response, fields, common).catch((cause: unknown): S3Answer => {
      const error = S3Error.from(cause);
      code = error.code;
      if (error.status >= 500 && error.status !== 501)
        log.error('S3 request failed', { requestId, ...loggable(fields), code, error: cause });
      return errorAnswer(error, (request.url ?? '/').replace(/\?.*/s, ''), requestId);
    });
    let outcome: string;
    try {
      outcome = await writeAnswer(request, response, answer, common);
    } catch (error) {
      outcome = 'broken';
      log.error('S3 answer could not be sent whole', { requestId, ...loggable(fields), error });
    }
    const durationMs = performance.now() - startMs;
    const { operation, caller, bucket = '', key = '' } = fields;
    log.debug('S3 request', { requestId, ...loggable(fields), status: response.statusCode, outcome, durationMs });
    options.observe?.({ operation, caller, bucket, key, status: response.statusCode, code, durationMs });
  };

  async function run(
    request: IncomingMessage,
    response: ServerResponse,
    fields: Fields<Caller>,
    common: Record<string, string>,
  ): Promise<S3Answer> {
    const head = readHead(request);
    const client = clientOf(request);
    const nowMs = now();
    const target = parseTarget(head.path, head.headers.get('host'), client.baseDomain ?? options.baseDomain);
    if (head.method === 'OPTIONS') return await preflight(backend, target.bucket, head.headers);
    if (head.headers.has('origin')) {
      // Before anything can fail: a page is to see why it was refused.
      Object.assign(common, await answerCors(backend, target.bucket, head.method, head.headers));
    }
    const identity = await authenticate.request(head, resourceOf(head, target), nowMs);
    fields.caller = identity.caller;
    assertTarget(target);
    const operation = routeOperation(head.method, target, head.queryByName, head.headers.has('x-amz-copy-source'));
    Object.assign(fields, { operation, ...target });
    const asker = askerOf(identity, head.headers);
    const settings = await authorize(asker, { operation, ...target, versionId: head.queryByName.get('versionId') });
    assertExpectedOwner(head.headers.get('x-amz-expected-bucket-owner'), settings);
    const onStart = (): void => {
      if (/^100-continue$/i.test(head.headers.get('expect') ?? '')) response.writeContinue();
    };
    const body = (sizeBytesMax: number, checksumAlgorithm?: ChecksumAlgorithm, ignoresChecksums = false) =>
      createBody({
        checksumAlgorithm,
        ignoresChecksums,
        request,
        headers: head.headers,
        payloadHash: identity.payloadHash,
        signing: identity.signing?.(),
        sizeBytesMax,
        onStart,
      });
    const call: S3Call = {
      ...callOf(asker, settings, target),
      body: (algorithm) => body(limits.bodySizeBytesMax, algorithm),
      xml: async (rootName, isAboutObject) => readXml(body(limits.xmlSizeBytesMax, undefined, isAboutObject), rootName),
      raw: () => {
        onStart();
        return request.iterator({ destroyOnReturn: false });
      },
      form: async ({ key, headers, body: formBody, check, signed }) => {
        // The hash that a signed request promises is of the whole form, which nobody checks here.
        if (identity.caller !== undefined || identity.payloadHash !== unsignedPayload)
          throw new S3Error('InvalidRequest', 'An upload by form is signed by its policy and not as a request');
        const known = signed && (await authenticate.form(signed));
        check();
        const formTarget = { bucket: target.bucket, key };
        assertTarget(formTarget);
        Object.assign(fields, { key, caller: known?.caller });
        const formAsker = askerOf(known ?? identity, headers);
        // As a write of an object, which it is; only the operation of the request itself asks for nothing.
        const formSettings = await authorize(formAsker, { operation: 'PutObject', ...formTarget });
        return { ...call, ...callOf(formAsker, formSettings, formTarget), body: formBody };
      },
    };
    const requestId = common['x-amz-request-id'] ?? '';
    const actor = { operation, key: target.key, userId: call.user?.id ?? '', address: client.address, requestId };
    try {
      // Nobody asks who only reads.
      if (head.method === 'GET' || head.method === 'HEAD') return await operations[operation](call);
      return await acting.run(actor, () => operations[operation](call));
    } catch (error) {
      // That there is no such object is told only to who may list the bucket.
      if (looks.has(operation) && S3Error.from(error).code === 'NoSuchKey')
        await authorize(asker, { operation, ...target, isMissing: true });
      throw error;
    }

    function askerOf(from: Identity<Caller>, headers: ReadonlyMap<string, string>): Asker<Caller> {
      const { caller, signature } = from;
      const user = caller === undefined ? undefined : options.user(caller);
      return { caller, user, headers, query: head.queryByName, client, signature, nowMs };
    }

    /** What an operation knows and may ask, but for the body. */
    function callOf(from: Asker<Caller>, bucketSettings: BucketSettings, about: Target) {
      const { user, headers } = from;
      return {
        ...{ backend, ...about, user, users, settings: bucketSettings, query: head.queryByName, headers, region, limits, nowMs },
        authorize: async (other: OperationName, bucket: string, key: string | undefined, more?: AuthorizeMore) => {
          await authorize(from, { operation: other, bucket, key: key ?? '', ...more });
        },
        sees: async ({ name, owner }: BucketInfo) =>
          user !== undefined &&
          (owner.id === user.id || (await options.verdict(from.caller, 'HeadBucket', name, undefined)).kind === 'allowed'),
      };
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

/** Errors: `AccessDenied` when the bucket belongs to somebody else than the sender thinks. */
function assertExpectedOwner(expected: string | undefined, { owner }: BucketSettings): void {
  if (expected !== undefined && expected !== owner.id) throw new S3Error('AccessDenied');
}

/** The path as signatures of the old kind have it: with the bucket, also when that is in the host's name. */
const resourceOf = ({ path }: S3RequestHead, { bucket, key }: Target): string =>
  bucket !== '' && path === `/${key}` ? `/${bucket}${path}` : path;

async function readXml({ bytes, verify }: ObjectBody, rootName: string): Promise<XmlNode> {
  const chunks = await Array.fromAsync(bytes);
  await verify();
  try {
    return parseXml(new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks)), rootName);
  } catch (error) {
    if (error instanceof XmlError || error instanceof TypeError) throw new S3Error('MalformedXML', undefined, { cause: error });
    throw error;
  }
}
