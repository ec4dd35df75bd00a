import type { Verdict } from '#kernel/guard/guard.ts';
import type { Client } from '#kernel/process/client-of.ts';
import type { Backend } from '../backend.ts';
import { type BucketSettings, installation, type Tags } from '../bucket-settings.ts';
import type { S3User } from '../call.ts';
import { S3Error } from '../errors.ts';
import type { OperationName } from '../operation-names.ts';
import { actionsOf } from './actions.ts';
import { conditionContext, type RequestFacts } from './context.ts';
import { type AccessQuestion, decide, type ObjectAccess } from './decide.ts';
import { objectAcl } from './ownership.ts';
import { storedPolicy } from './policy.ts';

/**
 * What the platform's policies say. `caller` absent: anybody. `bucket` and `key` are absent where the operation has none; of a listing `key`
 * is the folder whose names it tells, and `isDeep` says that it tells those of all folders below as well.
 */
export type AskPlatform<Caller> = (
  caller: Caller | undefined,
  operation: OperationName,
  bucket: string | undefined,
  key: string | undefined,
  isDeep?: boolean,
) => Verdict | Promise<Verdict>;

/** Who asks, and how. */
export interface Asker<Caller> {
  readonly caller: Caller | undefined;
  readonly user: S3User | undefined;
  readonly headers: ReadonlyMap<string, string>;
  readonly query: ReadonlyMap<string, string>;
  readonly client: Client;
  readonly signature: RequestFacts['signature'];
  readonly nowMs: number;
}

export interface Wish {
  readonly operation: OperationName;
  /** Empty: the service itself. */
  readonly bucket: string;
  /** Empty: the bucket itself. */
  readonly key: string;
  readonly versionId?: string | undefined;
  /** Tags the request wants to put, where they are not in its header. */
  readonly tags?: Tags | undefined;
  /** It was found that there is no such object: may they be told? */
  readonly isMissing?: boolean;
}

/** Settings of what has none. */
export const noSettings: BucketSettings = { owner: installation };

/** A policy about tags that are in the body can be asked only when that was read. */
const speaksOfNewTags = ({ policy }: BucketSettings): boolean => policy !== undefined && /RequestObjectTag/i.test(policy);

/** Each of these asks for the objects it is about one by one. */
const asksLater: ReadonlySet<OperationName> = new Set(['DeleteObjects', 'PostObject']);

/** Resolves with the settings of the bucket when somebody may. Errors: `AccessDenied`, `NoSuchBucket`. */
export function createAuthorize<Caller>(backend: Backend, ask: AskPlatform<Caller>) {
  return async (asker: Asker<Caller>, wish: Wish): Promise<BucketSettings> => {
    const { operation, bucket, key, versionId } = wish;
    const { caller, user, headers, query } = asker;
    const isMade = bucket !== '' && operation !== 'CreateBucket';
    const settings = isMade ? await backend.bucketSettings(bucket) : noSettings;
    const isLater = asksLater.has(operation) || (operation === 'PutObjectTagging' && !wish.tags && speaksOfNewTags(settings));
    if (isLater) return settings;
    const listed = listings.has(operation) ? listedFolder(query) : undefined;
    const platform = (): Verdict | Promise<Verdict> =>
      ask(caller, operation, bucket || undefined, (listed?.folder ?? key) || undefined, listed?.isDeep);
    if (caller === undefined && operation === 'ListBuckets') return settings;
    // Of anybody it is asked last: they are let in by what is said at the bucket or not at all.
    const asked = caller === undefined ? undecided : platform();
    const verdict = asked instanceof Promise ? await asked : asked;
    if (!isMade) {
      const isAllowed = operation === 'ListBuckets' ? verdict.kind !== 'forbidden' : verdict.kind === 'allowed';
      if (isAllowed) return settings;
      throw denied(verdict);
    }
    if (verdict.kind === 'allowed' && settings.policy === undefined && !headers.has('x-amz-bypass-governance-retention'))
      return settings;
    const question: AccessQuestion = {
      user,
      operation,
      actions: actionsOf({ operation, versionId, headers }),
      bucket,
      key,
      settings,
      policy: settings.policy === undefined ? undefined : storedPolicy(settings.policy, bucket),
      platform: verdict.kind,
      context: conditionContext({ ...asker, versionId, requestTags: wish.tags }),
      object: wish.isMissing ? 'missing' : undefined,
    };
    let answer = decide(question);
    if (answer === 'ask_object') {
      const object = await lookUp(wish, settings);
      const objectTags = object === 'missing' ? undefined : object.tags;
      const context = conditionContext({ ...asker, versionId, requestTags: wish.tags, objectTags });
      answer = decide({ ...question, object, context });
    }
    if (answer !== 'allowed') throw denied(verdict);
    if (caller === undefined && (await platform()).kind === 'forbidden') throw new S3Error('AccessDenied');
    return settings;
  };

  async function lookUp({ bucket, key, versionId }: Wish, settings: BucketSettings): Promise<ObjectAccess | 'missing'> {
    try {
      const info = await backend.head({ bucket, key, versionId });
      return { acl: objectAcl(settings, info), tags: info.tags ?? {} };
    } catch (error) {
      if (missing.has(S3Error.from(error).code)) return 'missing';
      throw error;
    }
  }
}

const undecided = { kind: 'undecided', fault: undefined } as const;
const missing: ReadonlySet<string> = new Set(['NoSuchKey', 'NoSuchVersion', 'MethodNotAllowed']);

/** Says why where it is known; nothing of what the bucket's policy or ACLs say is told. */
function denied(verdict: Verdict | typeof undecided): S3Error {
  return verdict.kind === 'allowed' || verdict.fault === undefined ? new S3Error('AccessDenied') : S3Error.from(verdict.fault);
}

const listings: ReadonlySet<OperationName> = new Set([
  'ListObjects',
  'ListObjectsV2',
  'ListObjectVersions',
  'ListMultipartUploads',
]);

/** The folder all keys of a listing lie in, and whether the keys of its subfolders are told as well. */
function listedFolder(query: ReadonlyMap<string, string>): { readonly folder: string; readonly isDeep: boolean } {
  const prefix = query.get('prefix') ?? '';
  return { folder: prefix.slice(0, Math.max(0, prefix.lastIndexOf('/'))), isDeep: query.get('delimiter') !== '/' };
}
