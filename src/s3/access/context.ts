import type { Tags } from '../bucket-settings.ts';
import type { S3User } from '../call.ts';
import type { ConditionContext } from './conditions.ts';

/** What conditions of bucket policies can ask about a request. */
export interface RequestFacts {
  readonly user: S3User | undefined;
  /** Network address and way of the client, as the one who accepted the connection saw it. */
  readonly client: { readonly address: string; readonly isSecure: boolean };
  readonly headers: ReadonlyMap<string, string>;
  readonly query: ReadonlyMap<string, string>;
  readonly nowMs: number;
  /** How it was signed; absent: it was not. */
  readonly signature?:
    | {
        readonly type: 'REST-HEADER' | 'REST-QUERY-STRING' | 'POST';
        readonly version: string;
        readonly timeMs?: number | undefined;
      }
    | undefined;
  readonly versionId?: string | undefined;
  /** Tags the request wants to put. */
  readonly requestTags?: Tags | undefined;
  /** Tags of the object as it is. */
  readonly objectTags?: Tags | undefined;
}

const dayMs = 86_400_000;

/** Keys whose value is that of a header with the key's own name. */
const isHeaderKey = (name: string): boolean => name.startsWith('x-amz-') || name === 'if-match' || name === 'if-none-match';
const queryKeys = new Set(['prefix', 'delimiter', 'max-keys']);

/** The ARN of a user, as policies write it. */
export const userArn = (user: S3User): string => `arn:aws:iam::cellar:user/${user.id}`;

/** Answers each key only when it is asked for: most requests are asked for none. */
export function conditionContext(facts: RequestFacts): ConditionContext {
  const { user, client, headers, query, nowMs, signature, versionId } = facts;
  const requestTags = (): Tags => facts.requestTags ?? tagsOfHeader(headers.get('x-amz-tagging'));
  const plain: Readonly<Record<string, () => string | number | boolean | undefined>> = {
    'aws:sourceip': () => client.address || undefined,
    'aws:securetransport': () => client.isSecure,
    'aws:useragent': () => headers.get('user-agent'),
    'aws:referer': () => headers.get('referer'),
    'aws:currenttime': () => new Date(nowMs).toISOString(),
    'aws:epochtime': () => Math.floor(nowMs / 1_000),
    'aws:username': () => user?.displayName,
    'aws:userid': () => user?.id,
    'aws:principalarn': () => user && userArn(user),
    'aws:principaltype': () => (user ? 'User' : 'Anonymous'),
    's3:authtype': () => signature?.type,
    's3:signatureversion': () => signature?.version,
    's3:signatureage': () => (signature?.timeMs === undefined ? undefined : nowMs - signature.timeMs),
    's3:versionid': () => versionId,
    's3:x-amz-copy-source': () => plainSource(headers.get('x-amz-copy-source')),
    's3:object-lock-mode': () => headers.get('x-amz-object-lock-mode'),
    's3:object-lock-legal-hold': () => headers.get('x-amz-object-lock-legal-hold'),
    's3:object-lock-retain-until-date': () => headers.get('x-amz-object-lock-retain-until-date'),
    's3:object-lock-remaining-retention-days': () => {
      const untilMs = Date.parse(headers.get('x-amz-object-lock-retain-until-date') ?? '');
      return Number.isNaN(untilMs) ? undefined : Math.ceil((untilMs - nowMs) / dayMs);
    },
  };
  return (key) => {
    if (key === 's3:requestobjecttagkeys') {
      const names = Object.keys(requestTags());
      return names.length > 0 ? names : undefined;
    }
    const [, kind, tag] = /^s3:(existing|request)objecttag\/(.*)$/s.exec(key) ?? [];
    if (tag !== undefined) return one(own(kind === 'existing' ? (facts.objectTags ?? {}) : requestTags(), tag));
    const known = Object.hasOwn(plain, key) ? plain[key] : undefined;
    if (known) return one(known());
    const name = key.slice(key.indexOf(':') + 1);
    if (queryKeys.has(name)) return one(query.get(name));
    return isHeaderKey(name) ? one(headers.get(name)) : undefined;
  };
}

/** `bucket/key`, whichever of its forms a client wrote. */
function plainSource(header: string | undefined): string | undefined {
  const path = header?.replace(/^\//, '').replace(/\?versionId=.*$/s, '');
  try {
    return path === undefined ? undefined : decodeURIComponent(path).replace(/^\//, '');
  } catch {
    return path;
  }
}

const one = (value: string | number | boolean | undefined): readonly string[] | undefined =>
  value === undefined ? undefined : [String(value)];

const own = (tags: Tags, name: string): string | undefined => (Object.hasOwn(tags, name) ? tags[name] : undefined);

/** Leniently: a header that is not well formed is refused by the operation itself. */
const tagsOfHeader = (header: string | undefined): Tags =>
  header === undefined ? {} : Object.fromEntries(new URLSearchParams(header));
