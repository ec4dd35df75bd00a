import { type XmlElement, type XmlNode, xml } from '#lib/xml.ts';
import type { Acl, Grant, Grantee, Owner, Permission } from '../bucket-settings.ts';
import { S3Error } from '../errors.ts';
import { result } from '../xml-result.ts';
import { privateAcl } from './ownership.ts';

/** Finds who a grant is for. */
export interface Users {
  /** A user by canonical id. */
  byId(id: string): Promise<Owner | undefined>;
  /** Absent: users have no e-mail addresses here. */
  byEmail?(email: string): Promise<Owner | undefined>;
}

/** Who an ACL is about. */
export interface AclOwners {
  /** Of the bucket or object whose ACL it is. */
  readonly owner: Owner;
  readonly bucketOwner: Owner;
}

const grantsMax = 100;
const permissions: readonly string[] = ['READ', 'WRITE', 'READ_ACP', 'WRITE_ACP', 'FULL_CONTROL'] satisfies Permission[];
const isPermission = (text: string | undefined): text is Permission => text !== undefined && permissions.includes(text);

type Group = Extract<Grantee, { kind: 'group' }>['group'];
const groupUris: Readonly<Record<Group, string>> = {
  all: 'http://acs.amazonaws.com/groups/global/AllUsers',
  authenticated: 'http://acs.amazonaws.com/groups/global/AuthenticatedUsers',
  log_delivery: 'http://acs.amazonaws.com/groups/s3/LogDelivery',
};

const toGroup = (group: Group, permission: Permission): Grant => ({ grantee: { kind: 'group', group }, permission });
const toUser = ({ id, displayName }: Owner, permission: Permission): Grant => ({
  grantee: { kind: 'user', id, displayName },
  permission,
});

/** What each canned ACL gives besides everything to the owner. Source: S3, "Canned ACL". */
const canned: Readonly<Record<string, (bucketOwner: Owner) => readonly Grant[]>> = {
  private: () => [],
  'public-read': () => [toGroup('all', 'READ')],
  'public-read-write': () => [toGroup('all', 'READ'), toGroup('all', 'WRITE')],
  'authenticated-read': () => [toGroup('authenticated', 'READ')],
  'bucket-owner-read': (bucketOwner) => [toUser(bucketOwner, 'READ')],
  'bucket-owner-full-control': (bucketOwner) => [toUser(bucketOwner, 'FULL_CONTROL')],
  'log-delivery-write': () => [toGroup('log_delivery', 'WRITE'), toGroup('log_delivery', 'READ_ACP')],
};

const grantHeaders: readonly (readonly [header: string, permission: Permission])[] = [
  ['x-amz-grant-read', 'READ'],
  ['x-amz-grant-write', 'WRITE'],
  ['x-amz-grant-read-acp', 'READ_ACP'],
  ['x-amz-grant-write-acp', 'WRITE_ACP'],
  ['x-amz-grant-full-control', 'FULL_CONTROL'],
];

/** True when a grant is to everybody, or to everybody who has a key: as good as the world. */
export const isPublicAcl = ({ grants }: Acl): boolean =>
  grants.some(({ grantee }) => grantee.kind === 'group' && grantee.group !== 'log_delivery');

export const hasAclHeaders = (headers: ReadonlyMap<string, string>): boolean =>
  headers.has('x-amz-acl') || grantHeaders.some(([name]) => headers.has(name));

/**
 * The ACL that `x-amz-acl` or `x-amz-grant-*` ask for; undefined when there are none.
 * Errors: `InvalidArgument`, `InvalidRequest` for both at once, `UnresolvableGrantByEmailAddress`.
 */
export async function readAclHeaders(
  headers: ReadonlyMap<string, string>,
  owners: AclOwners,
  users: Users,
): Promise<Acl | undefined> {
  const word = headers.get('x-amz-acl');
  const given = grantHeaders.filter(([name]) => headers.has(name));
  if (word !== undefined) {
    if (given.length > 0) throw new S3Error('InvalidRequest', 'Specifying both Canned ACLs and Header Grants is not allowed');
    const grants = Object.hasOwn(canned, word) ? canned[word] : undefined;
    if (!grants) throw invalid('', 'x-amz-acl', word);
    const own = privateAcl(owners.owner);
    const isOwn = word.startsWith('bucket-owner-') && owners.bucketOwner.id === owners.owner.id;
    return isOwn ? own : { ...own, grants: [...own.grants, ...grants(owners.bucketOwner)] };
  }
  if (given.length === 0) return undefined;
  const grants: Grant[] = [];
  for (const [name, permission] of given) {
    for (const part of (headers.get(name) ?? '').split(',')) {
      const [, kind = '', quoted, plain] = /^\s*(\w+)\s*=\s*(?:"([^"]*)"|([^"\s]*))\s*$/.exec(part) ?? [];
      grants.push({ grantee: await findGrantee(kind.toLowerCase(), quoted ?? plain ?? '', owners, users), permission });
    }
  }
  return limited({ owner: owners.owner, grants });
}

/** An ACL as an XML document says it. Errors: `MalformedACLError`, `AccessDenied` when it would change the owner, and as `readAclHeaders`. */
export async function readAclXml(document: XmlNode, owners: AclOwners, users: Users): Promise<Acl> {
  const ownerId = document.all('Owner')[0]?.value('ID')?.trim();
  const list = document.all('AccessControlList')[0];
  if (!list || ownerId === undefined) throw new S3Error('MalformedACLError');
  if (ownerId !== owners.owner.id) throw new S3Error('AccessDenied', 'The owner of an ACL cannot be changed');
  const grants: Grant[] = [];
  for (const node of list.all('Grant')) {
    const permission = node.value('Permission')?.trim();
    const grantee = node.all('Grantee')[0];
    if (!grantee || !isPermission(permission)) throw new S3Error('MalformedACLError');
    const [kind, value] = (
      [
        ['id', grantee.value('ID')],
        ['uri', grantee.value('URI')],
        ['emailaddress', grantee.value('EmailAddress')],
      ] as const
    ).find((entry) => entry[1] !== undefined) ?? ['', undefined];
    if (value === undefined) throw new S3Error('MalformedACLError');
    grants.push({ grantee: await findGrantee(kind, value.trim(), owners, users), permission });
  }
  return limited({ owner: owners.owner, grants });
}

function limited(acl: Acl): Acl {
  if (acl.grants.length > grantsMax) throw new S3Error('MalformedACLError', `An ACL can have at most ${grantsMax} grants`);
  return acl;
}

async function findGrantee(kind: string, value: string, { owner, bucketOwner }: AclOwners, users: Users): Promise<Grantee> {
  if (kind === 'uri') {
    const group = (Object.keys(groupUris) as Group[]).find((name) => groupUris[name] === value);
    if (!group) throw invalid('Invalid group uri', 'uri', value);
    return { kind: 'group', group };
  }
  if (kind === 'emailaddress') {
    const found = await users.byEmail?.(value);
    if (found) return { kind: 'user', ...found };
    const message = users.byEmail ? undefined : 'Users have no e-mail addresses here: grant to a canonical id';
    throw new S3Error('UnresolvableGrantByEmailAddress', message);
  }
  if (kind !== 'id') throw invalid('Argument format not recognized', 'grant', kind);
  const known = [owner, bucketOwner].find(({ id }) => id === value) ?? (await users.byId(value));
  if (!known) throw invalid('Invalid id', 'CanonicalUser/ID', value);
  return { kind: 'user', id: known.id, displayName: known.displayName };
}

const invalid = (message: string, name: string, value: string): S3Error =>
  new S3Error('InvalidArgument', message || undefined, { fields: { ArgumentName: name, ArgumentValue: value } });

/** The answer to GetBucketAcl and GetObjectAcl. */
export function aclElement({ owner, grants }: Acl): XmlElement {
  // Groups first, as other servers have them.
  const ordered = [...grants].sort((a, b) => Number(a.grantee.kind === 'user') - Number(b.grantee.kind === 'user'));
  const list = ordered.map(({ grantee, permission }) =>
    xml('Grant', [
      xml(
        'Grantee',
        grantee.kind === 'user'
          ? [xml('ID', grantee.id), xml('DisplayName', grantee.displayName)]
          : [xml('URI', groupUris[grantee.group])],
        {
          'xmlns:xsi': 'http://www.w3.org/2001/XMLSchema-instance',
          'xsi:type': grantee.kind === 'user' ? 'CanonicalUser' : 'Group',
        },
      ),
      xml('Permission', permission),
    ]),
  );
  return result('AccessControlPolicy', [
    xml('Owner', [xml('ID', owner.id), xml('DisplayName', owner.displayName)]),
    xml('AccessControlList', list),
  ]);
}
