import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Acl, BucketSettings, Grant } from '../bucket-settings.ts';
import { installation } from '../bucket-settings.ts';
import type { S3User } from '../call.ts';
import { type Actions, actionsOf } from './actions.ts';
import { type AccessQuestion, decide } from './decide.ts';
import { privateAcl } from './ownership.ts';
import { parsePolicy } from './policy.ts';

const users = {
  owner: { id: 'owner', displayName: 'owner' },
  ann: { id: 'ann', displayName: 'ann' },
  admin: { id: 'admin', displayName: 'admin', isAdministrator: true },
  nobody: undefined,
} satisfies Readonly<Record<string, S3User | undefined>>;

const everybody = (permission: Grant['permission']): Acl => ({
  owner: users.owner,
  grants: [...privateAcl(users.owner).grants, { grantee: { kind: 'group', group: 'all' }, permission }],
});
const members = (permission: Grant['permission']): Acl => ({
  owner: users.owner,
  grants: [{ grantee: { kind: 'group', group: 'authenticated' }, permission }],
});
const toAnn = (permission: Grant['permission']): Acl => ({
  owner: users.owner,
  grants: [{ grantee: { kind: 'user', ...users.ann }, permission }],
});
const ofAnn = privateAcl(users.ann);
const rule = (effect: string, action: string, principal: unknown = '*'): Readonly<Record<string, unknown>> => ({
  Effect: effect,
  Principal: principal,
  Action: action,
  Resource: ['arn:aws:s3:::docs', 'arn:aws:s3:::docs/*'],
});
const blockAll = { blockPublicAcls: true, ignorePublicAcls: true, blockPublicPolicy: true, restrictPublicBuckets: true };

interface Scenario {
  readonly who: keyof typeof users;
  readonly does: AccessQuestion['operation'];
  /** `undecided` when absent. */
  readonly platform?: AccessQuestion['platform'];
  readonly policy?: readonly Readonly<Record<string, unknown>>[];
  readonly settings?: Partial<BucketSettings>;
  /** The ACL of the object; `missing`: there is none. */
  readonly object?: Acl | 'missing';
  readonly tags?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly gets: 'allowed' | 'denied' | 'ask_object';
}

const bypass = { 'x-amz-bypass-governance-retention': 'true' };
const scenarios: Readonly<Record<string, readonly Scenario[]>> = {
  'nothing allows it': [
    { who: 'ann', does: 'ListObjects', gets: 'denied' },
    { who: 'ann', does: 'PutObject', gets: 'denied' },
    { who: 'ann', does: 'GetObject', gets: 'ask_object' },
    { who: 'ann', does: 'GetObject', object: privateAcl(users.owner), gets: 'denied' },
    { who: 'ann', does: 'GetObject', object: 'missing', gets: 'denied' },
    { who: 'ann', does: 'DeleteBucket', gets: 'denied' },
    { who: 'ann', does: 'PutBucketPolicy', gets: 'denied' },
    { who: 'admin', does: 'ListObjects', gets: 'denied' },
    { who: 'nobody', does: 'ListObjects', gets: 'denied' },
    { who: 'nobody', does: 'GetObject', object: privateAcl(users.owner), gets: 'denied' },
  ],
  'the platform': [
    { who: 'ann', does: 'GetObject', platform: 'allowed', gets: 'allowed' },
    { who: 'owner', does: 'GetObject', platform: 'forbidden', gets: 'denied' },
    { who: 'ann', does: 'GetObject', platform: 'forbidden', policy: [rule('Allow', 's3:*')], gets: 'denied' },
    { who: 'nobody', does: 'GetObject', platform: 'forbidden', policy: [rule('Allow', 's3:*')], gets: 'denied' },
    { who: 'nobody', does: 'ListObjects', platform: 'allowed', gets: 'denied' },
    { who: 'ann', does: 'GetObject', platform: 'allowed', policy: [rule('Deny', 's3:GetObject')], gets: 'denied' },
  ],
  'the owner': [
    { who: 'owner', does: 'GetObject', gets: 'allowed' },
    { who: 'owner', does: 'PutBucketPolicy', gets: 'allowed' },
    { who: 'owner', does: 'GetObject', policy: [rule('Deny', 's3:*')], gets: 'denied' },
    { who: 'owner', does: 'GetBucketPolicy', policy: [rule('Deny', 's3:*')], gets: 'allowed' },
    { who: 'owner', does: 'DeleteBucketPolicy', policy: [rule('Deny', 's3:*')], gets: 'allowed' },
    { who: 'admin', does: 'PutBucketPolicy', policy: [rule('Deny', 's3:*')], platform: 'allowed', gets: 'allowed' },
    { who: 'ann', does: 'PutBucketPolicy', policy: [rule('Deny', 's3:*')], platform: 'allowed', gets: 'denied' },
    { who: 'owner', does: 'PutObjectAcl', gets: 'ask_object' },
    { who: 'owner', does: 'PutObjectAcl', object: privateAcl(users.owner), gets: 'allowed' },
    { who: 'owner', does: 'GetObjectAcl', object: ofAnn, gets: 'denied' },
    { who: 'owner', does: 'DeleteObject', object: ofAnn, gets: 'allowed' },
  ],
  'the policy of the bucket': [
    { who: 'nobody', does: 'GetObject', policy: [rule('Allow', 's3:GetObject')], gets: 'allowed' },
    { who: 'nobody', does: 'PutObject', policy: [rule('Allow', 's3:GetObject')], gets: 'denied' },
    { who: 'ann', does: 'PutObject', policy: [rule('Allow', 's3:PutObject', { CanonicalUser: 'ann' })], gets: 'allowed' },
    { who: 'ann', does: 'GetObject', policy: [rule('Allow', 's3:*'), rule('Deny', 's3:Get*')], gets: 'denied' },
    {
      who: 'nobody',
      does: 'GetObject',
      policy: [rule('Allow', 's3:GetObject')],
      settings: { publicAccessBlock: blockAll },
      object: everybody('READ'),
      gets: 'denied',
    },
    {
      who: 'ann',
      does: 'GetObject',
      policy: [rule('Allow', 's3:GetObject', { CanonicalUser: 'ann' })],
      settings: { publicAccessBlock: blockAll },
      gets: 'allowed',
    },
    { who: 'nobody', does: 'GetObject', policy: [rule('Allow', 's3:ListBucket')], object: 'missing', gets: 'allowed' },
    {
      who: 'ann',
      does: 'PutObject',
      headers: { 'x-amz-object-lock-mode': 'COMPLIANCE' },
      policy: [rule('Allow', 's3:PutObject')],
      gets: 'denied',
    },
    {
      who: 'ann',
      does: 'PutObject',
      headers: { 'x-amz-tagging': 'a=b' },
      policy: [rule('Allow', 's3:PutObject'), rule('Deny', 's3:PutObjectTagging')],
      gets: 'denied',
    },
    {
      who: 'ann',
      does: 'GetObject',
      policy: [{ ...rule('Allow', 's3:GetObject'), Condition: { StringEquals: { 's3:ExistingObjectTag/is': 'open' } } }],
      gets: 'ask_object',
    },
    {
      who: 'ann',
      does: 'GetObject',
      policy: [{ ...rule('Allow', 's3:GetObject'), Condition: { StringEquals: { 's3:ExistingObjectTag/is': 'open' } } }],
      object: ofAnn,
      settings: { ownership: 'BucketOwnerEnforced' },
      tags: { is: 'open' },
      gets: 'allowed',
    },
  ],
  'ACLs of buckets': [
    { who: 'nobody', does: 'ListObjects', settings: { acl: everybody('READ') }, gets: 'allowed' },
    { who: 'nobody', does: 'PutObject', settings: { acl: everybody('READ') }, gets: 'denied' },
    { who: 'nobody', does: 'PutObject', settings: { acl: everybody('WRITE') }, gets: 'allowed' },
    { who: 'nobody', does: 'GetObject', settings: { acl: everybody('READ') }, object: 'missing', gets: 'allowed' },
    { who: 'nobody', does: 'GetObject', settings: { acl: everybody('WRITE') }, object: 'missing', gets: 'denied' },
    {
      who: 'nobody',
      does: 'GetObject',
      settings: { acl: everybody('FULL_CONTROL') },
      object: privateAcl(users.owner),
      gets: 'denied',
    },
    { who: 'ann', does: 'ListObjects', settings: { acl: members('READ') }, gets: 'allowed' },
    { who: 'nobody', does: 'ListObjects', settings: { acl: members('READ') }, gets: 'denied' },
    { who: 'ann', does: 'GetBucketAcl', settings: { acl: toAnn('READ_ACP') }, gets: 'allowed' },
    { who: 'ann', does: 'PutBucketAcl', settings: { acl: toAnn('READ_ACP') }, gets: 'denied' },
    { who: 'ann', does: 'PutBucketAcl', settings: { acl: toAnn('FULL_CONTROL') }, gets: 'allowed' },
    { who: 'ann', does: 'PutBucketPolicy', settings: { acl: toAnn('FULL_CONTROL') }, gets: 'denied' },
    { who: 'ann', does: 'DeleteBucket', settings: { acl: toAnn('FULL_CONTROL') }, gets: 'denied' },
    { who: 'nobody', does: 'ListObjects', settings: { acl: everybody('READ'), publicAccessBlock: blockAll }, gets: 'denied' },
    { who: 'ann', does: 'ListObjects', settings: { acl: toAnn('READ'), publicAccessBlock: blockAll }, gets: 'allowed' },
    {
      who: 'nobody',
      does: 'ListObjects',
      settings: { acl: everybody('READ'), ownership: 'BucketOwnerEnforced' },
      gets: 'denied',
    },
    { who: 'nobody', does: 'ListObjects', settings: { acl: everybody('READ'), owner: installation }, gets: 'denied' },
    {
      who: 'ann',
      does: 'PutObject',
      settings: { acl: everybody('WRITE') },
      policy: [rule('Deny', 's3:PutObject')],
      gets: 'denied',
    },
    {
      who: 'ann',
      does: 'PutObject',
      headers: { 'x-amz-object-lock-mode': 'COMPLIANCE' },
      settings: { acl: everybody('WRITE') },
      gets: 'denied',
    },
  ],
  'ACLs of objects': [
    { who: 'nobody', does: 'GetObject', object: everybody('READ'), gets: 'allowed' },
    { who: 'nobody', does: 'GetObjectAcl', object: everybody('READ'), gets: 'denied' },
    { who: 'nobody', does: 'GetObjectAcl', object: everybody('READ_ACP'), gets: 'allowed' },
    { who: 'nobody', does: 'DeleteObject', object: everybody('FULL_CONTROL'), gets: 'denied' },
    { who: 'ann', does: 'HeadObject', object: toAnn('READ'), gets: 'allowed' },
    { who: 'ann', does: 'GetObject', object: ofAnn, gets: 'allowed' },
    { who: 'ann', does: 'PutObjectAcl', object: ofAnn, gets: 'allowed' },
    { who: 'ann', does: 'PutObjectAcl', object: { owner: users.ann, grants: [] }, gets: 'allowed' },
    { who: 'ann', does: 'GetObjectTagging', object: ofAnn, gets: 'denied' },
    { who: 'nobody', does: 'GetObject', object: everybody('READ'), settings: { publicAccessBlock: blockAll }, gets: 'denied' },
    { who: 'nobody', does: 'GetObject', object: everybody('READ'), settings: { owner: installation }, gets: 'denied' },
    { who: 'nobody', does: 'GetObject', object: everybody('READ'), policy: [rule('Deny', 's3:GetObject')], gets: 'denied' },
  ],
  'locks are not undone by a right to write': [
    { who: 'ann', does: 'DeleteObject', platform: 'allowed', gets: 'allowed' },
    { who: 'ann', does: 'DeleteObject', platform: 'allowed', headers: bypass, gets: 'denied' },
    { who: 'ann', does: 'DeleteObject', settings: { acl: everybody('WRITE') }, headers: bypass, gets: 'denied' },
    { who: 'ann', does: 'DeleteObject', policy: [rule('Allow', 's3:DeleteObject')], headers: bypass, gets: 'denied' },
    { who: 'ann', does: 'DeleteObject', policy: [rule('Allow', 's3:*')], headers: bypass, gets: 'allowed' },
    { who: 'owner', does: 'DeleteObject', headers: bypass, gets: 'allowed' },
    { who: 'admin', does: 'DeleteObject', platform: 'allowed', headers: bypass, gets: 'allowed' },
    {
      who: 'owner',
      does: 'DeleteObject',
      policy: [rule('Allow', 's3:*'), rule('Deny', 's3:BypassGovernanceRetention')],
      headers: bypass,
      gets: 'denied',
    },
    {
      who: 'admin',
      does: 'PutObjectRetention',
      platform: 'allowed',
      policy: [rule('Deny', 's3:BypassGovernanceRetention')],
      headers: bypass,
      gets: 'denied',
    },
  ],
};

for (const [title, list] of Object.entries(scenarios))
  for (const [index, { who, does, gets, platform = 'undecided', ...given }] of list.entries())
    test(`${title} ${index + 1}: ${who} ${does} is ${gets}`, () => {
      const actions: Actions = actionsOf({ operation: does, headers: new Map(Object.entries(given.headers ?? {})) });
      const { tags = {} } = given;
      const answer = decide({
        user: users[who],
        operation: does,
        actions,
        bucket: 'docs',
        key: /Object(Acl|Tagging|Retention)?$/.test(does) ? 'a' : '',
        settings: { owner: users.owner, ...given.settings },
        policy: given.policy && parsePolicy(JSON.stringify({ Statement: given.policy }), 'docs'),
        platform,
        context: (key) => {
          const tag = /^s3:existingobjecttag\/(.*)$/.exec(key)?.[1];
          const value = tag === undefined ? undefined : tags[tag];
          return value === undefined ? undefined : [value];
        },
        object: given.object === 'missing' || given.object === undefined ? given.object : { acl: given.object, tags },
      });
      assert.equal(answer, gets);
    });
