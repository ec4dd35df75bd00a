import assert from 'node:assert/strict';
import { test } from 'node:test';
import { S3Error } from '../errors.ts';
import { actionsOf } from './actions.ts';
import type { ConditionContext } from './conditions.ts';
import { evaluatePolicy, parsePolicy, storedPolicy } from './policy.ts';

type Fields = Readonly<Record<string, unknown>>;
const statement = (fields: Fields = {}): Fields => ({
  Effect: 'Allow',
  Principal: '*',
  Action: 's3:GetObject',
  Resource: 'arn:aws:s3:::docs/*',
  ...fields,
});
const policyText = (...statements: readonly Fields[]): string => JSON.stringify({ Version: '2012-10-17', Statement: statements });
const contextOf =
  (values: Readonly<Record<string, string | readonly string[]>>): ConditionContext =>
  (key) => {
    const value = values[key];
    return value === undefined ? undefined : [value].flat();
  };

interface Asked {
  readonly userId?: string;
  readonly action?: string;
  readonly resource?: string;
  readonly context?: Readonly<Record<string, string | readonly string[]>>;
}
const ask = (text: string, { userId, action = 's3:GetObject', resource = 'docs/a', context = {} }: Asked = {}): string =>
  evaluatePolicy(parsePolicy(text, 'docs'), { userId, action, resource, context: contextOf(context) });

const who: readonly (readonly [principal: unknown, userId: string | undefined, effect: string])[] = [
  ['*', undefined, 'allow'],
  [{ AWS: '*' }, undefined, 'allow'],
  [{ AWS: ['*'] }, 'u1', 'allow'],
  [{ AWS: 'arn:aws:iam::cellar:user/u1' }, 'u1', 'allow'],
  [{ AWS: 'arn:aws:iam:::user/u1' }, 'u1', 'allow'],
  [{ AWS: ['arn:aws:iam::cellar:user/u2', 'u1'] }, 'u1', 'allow'],
  [{ CanonicalUser: 'u1' }, 'u1', 'allow'],
  [{ AWS: 'arn:aws:iam::cellar:user/u1' }, undefined, 'none'],
  [{ AWS: 'arn:aws:iam::cellar:user/u1' }, 'u2', 'none'],
  [{ AWS: 'arn:aws:iam::123456789012:user/u1' }, 'u1', 'none'],
  [{ AWS: 'arn:aws:iam::cellar:role/u1' }, 'u1', 'none'],
  [{ AWS: 'arn:aws:iam::cellar:root' }, 'u1', 'none'],
  [{ Service: 'logging.s3.amazonaws.com' }, 'u1', 'none'],
];
for (const [principal, userId, effect] of who)
  test(`principal ${JSON.stringify(principal)} and ${userId}`, () =>
    assert.equal(ask(policyText(statement({ Principal: principal })), userId === undefined ? {} : { userId }), effect));

test('everybody but', () => {
  const { Principal: _, ...rest } = statement({ Effect: 'Deny', NotPrincipal: { CanonicalUser: 'u1' } });
  assert.equal(ask(policyText(rest), { userId: 'u1' }), 'none');
  assert.equal(ask(policyText(rest), { userId: 'u2' }), 'deny');
  assert.equal(ask(policyText(rest)), 'deny');
});

const what: readonly (readonly [fields: Fields, action: string, resource: string, effect: string])[] = [
  [{ Action: 's3:Get*' }, 's3:GetObjectVersion', 'docs/a', 'allow'],
  [{ Action: ['S3:getobject'] }, 's3:GetObject', 'docs/a', 'allow'],
  [{ Action: '*' }, 's3:PutObject', 'docs/a', 'allow'],
  [{ Action: 's3:GetObject' }, 's3:GetObjectVersion', 'docs/a', 'none'],
  [{ Action: undefined, NotAction: 's3:Delete*' }, 's3:GetObject', 'docs/a', 'allow'],
  [{ Action: undefined, NotAction: 's3:Delete*' }, 's3:DeleteObject', 'docs/a', 'none'],
  [{ Resource: 'arn:aws:s3:::docs' }, 's3:GetObject', 'docs/a', 'none'],
  [{ Resource: 'arn:aws:s3:::docs*' }, 's3:GetObject', 'docs/a', 'allow'],
  [{ Resource: ['arn:aws:s3:::docs/x', 'arn:aws:s3:::docs/b/?'] }, 's3:GetObject', 'docs/b/c', 'allow'],
  [{ Resource: '*' }, 's3:GetObject', 'docs/a', 'allow'],
  [{ Resource: undefined, NotResource: 'arn:aws:s3:::docs/private/*' }, 's3:GetObject', 'docs/private/a', 'none'],
  [{ Resource: undefined, NotResource: 'arn:aws:s3:::docs/private/*' }, 's3:GetObject', 'docs/a', 'allow'],
];
for (const [fields, action, resource, effect] of what)
  test(`${JSON.stringify(fields)}: ${action} of ${resource}`, () =>
    assert.equal(ask(policyText(statement(fields)), { action, resource }), effect));

const conditions: readonly (readonly [condition: Fields, context: NonNullable<Asked['context']>, holds: boolean])[] = [
  [{ StringEquals: { 's3:prefix': ['a/', 'b/'] } }, { 's3:prefix': 'b/' }, true],
  [{ StringEquals: { 's3:prefix': 'a*' } }, { 's3:prefix': 'ab' }, false],
  [{ StringEquals: { 's3:prefix': '' } }, { 's3:prefix': '' }, true],
  [{ StringEquals: { 's3:prefix': 'a' } }, {}, false],
  [{ StringEqualsIfExists: { 's3:prefix': 'a' } }, {}, true],
  [{ StringEqualsIfExists: { 's3:prefix': 'a' } }, { 's3:prefix': 'b' }, false],
  [{ StringNotEquals: { 's3:prefix': 'a' } }, {}, true],
  [{ StringNotEquals: { 's3:prefix': ['a', 'b'] } }, { 's3:prefix': 'b' }, false],
  [{ StringNotEquals: { 's3:prefix': ['a', 'b'] } }, { 's3:prefix': 'c' }, true],
  [{ StringEqualsIgnoreCase: { 's3:x-amz-acl': 'Public-Read' } }, { 's3:x-amz-acl': 'public-read' }, true],
  [{ StringLike: { 's3:prefix': 'home/*' } }, { 's3:prefix': 'home/a' }, true],
  [{ StringNotLike: { 's3:prefix': 'home/*' } }, { 's3:prefix': 'home/a' }, false],
  [{ NumericLessThanEquals: { 's3:max-keys': '10' } }, { 's3:max-keys': '10' }, true],
  [{ NumericLessThan: { 's3:max-keys': 10 } }, { 's3:max-keys': '10' }, false],
  [{ NumericEquals: { 's3:max-keys': 10 } }, { 's3:max-keys': 'many' }, false],
  [{ DateLessThan: { 'aws:CurrentTime': '2030-01-01T00:00:00Z' } }, { 'aws:currenttime': '2026-01-01T00:00:00.000Z' }, true],
  [{ DateGreaterThan: { 'aws:EpochTime': '1893456000' } }, { 'aws:epochtime': '1767225600' }, false],
  [{ Bool: { 'aws:SecureTransport': false } }, { 'aws:securetransport': 'false' }, true],
  [{ Bool: { 'aws:SecureTransport': 'true' } }, { 'aws:securetransport': 'false' }, false],
  [{ IpAddress: { 'aws:SourceIp': '10.1.0.0/16' } }, { 'aws:sourceip': '10.1.2.3' }, true],
  [{ IpAddress: { 'aws:SourceIp': '10.1.0.0/16' } }, { 'aws:sourceip': '10.2.2.3' }, false],
  [{ IpAddress: { 'aws:SourceIp': '10.1.0.0/16' } }, {}, false],
  [{ IpAddress: { 'aws:SourceIp': '2001:db8::/32' } }, { 'aws:sourceip': '2001:db8::1' }, true],
  [{ NotIpAddress: { 'aws:SourceIp': ['10.1.0.0/16', '10.2.0.0/16'] } }, { 'aws:sourceip': '10.2.2.3' }, false],
  [{ NotIpAddress: { 'aws:SourceIp': '10.1.2.3' } }, { 'aws:sourceip': '10.1.2.4' }, true],
  [
    { ArnLike: { 'aws:PrincipalArn': 'arn:aws:iam::cellar:user/*' } },
    { 'aws:principalarn': 'arn:aws:iam::cellar:user/u1' },
    true,
  ],
  [{ Null: { 's3:x-amz-server-side-encryption': 'true' } }, {}, true],
  [{ Null: { 's3:x-amz-server-side-encryption': true } }, { 's3:x-amz-server-side-encryption': 'AES256' }, false],
  [{ Null: { 's3:x-amz-server-side-encryption': 'false' } }, {}, false],
  [{ 'ForAllValues:StringLike': { 's3:RequestObjectTagKeys': ['a*'] } }, { 's3:requestobjecttagkeys': ['ab', 'ac'] }, true],
  [{ 'ForAllValues:StringLike': { 's3:RequestObjectTagKeys': ['a*'] } }, { 's3:requestobjecttagkeys': ['ab', 'b'] }, false],
  [{ 'ForAllValues:StringLike': { 's3:RequestObjectTagKeys': ['a*'] } }, {}, true],
  [{ 'ForAnyValue:StringEquals': { 's3:RequestObjectTagKeys': ['b'] } }, { 's3:requestobjecttagkeys': ['a', 'b'] }, true],
  [{ 'ForAnyValue:StringEquals': { 's3:RequestObjectTagKeys': ['b'] } }, {}, false],
  [{ StringEquals: { 's3:ExistingObjectTag/Kind': 'x' } }, { 's3:existingobjecttag/Kind': 'x' }, true],
  [{ StringEquals: { 's3:ExistingObjectTag/Kind': 'x' } }, { 's3:existingobjecttag/kind': 'x' }, false],
  [{ StringEquals: { 's3:prefix': 'a', 's3:delimiter': '/' } }, { 's3:prefix': 'a' }, false],
  // biome-ignore-start lint/suspicious/noTemplateCurlyInString: variables of policies
  [{ StringLike: { 's3:prefix': '${aws:username}/*' } }, { 's3:prefix': 'ann/x', 'aws:username': 'ann' }, true],
  [{ StringLike: { 's3:prefix': '${aws:username}/*' } }, { 's3:prefix': 'bob/x', 'aws:username': '*' }, false],
  [{ StringLike: { 's3:prefix': '${aws:username}/*' } }, { 's3:prefix': 'bob/x' }, false],
  [{ StringEquals: { 's3:prefix': "${aws:username, 'guest'}" } }, { 's3:prefix': 'guest' }, true],
  [{ StringLike: { 's3:prefix': 'a${*}' } }, { 's3:prefix': 'ab' }, false],
  [{ StringLike: { 's3:prefix': 'a${*}' } }, { 's3:prefix': 'a*' }, true],
  // biome-ignore-end lint/suspicious/noTemplateCurlyInString: variables of policies
];
for (const [condition, context, holds] of conditions)
  test(`${JSON.stringify(condition)} with ${JSON.stringify(context)}`, () =>
    assert.equal(ask(policyText(statement({ Condition: condition })), { context }), holds ? 'allow' : 'none'));

test('a denial wins, wherever it stands', () => {
  const deny = statement({ Effect: 'Deny', Resource: 'arn:aws:s3:::docs/secret/*' });
  for (const text of [policyText(statement(), deny), policyText(deny, statement())]) {
    assert.equal(ask(text, { resource: 'docs/secret/a' }), 'deny');
    assert.equal(ask(text, { resource: 'docs/a' }), 'allow');
  }
});

test('a user has a home in a resource', () => {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: a variable of policies
  const home = statement({ Resource: 'arn:aws:s3:::docs/home/${aws:username}/*' });
  assert.equal(ask(policyText(home), { resource: 'docs/home/ann/a', context: { 'aws:username': 'ann' } }), 'allow');
  assert.equal(ask(policyText(home), { resource: 'docs/home/bob/a', context: { 'aws:username': '*' } }), 'none');
  const old = JSON.stringify({ Version: '2008-10-17', Statement: [home] });
  assert.equal(ask(old, { resource: 'docs/home/ann/a', context: { 'aws:username': 'ann' } }), 'none');
});

const refused: readonly (readonly [text: string, reason: RegExp])[] = [
  ['{', /invalid Json/],
  ['[]', /must be an object/],
  ['{}', /Missing required field Statement/],
  [JSON.stringify({ Version: '2020-01-01', Statement: statement() }), /version/],
  [JSON.stringify({ Statement: statement(), Statements: [] }), /unknown field: Statements/],
  [policyText(statement({ Effect: 'allow' })), /Effect/],
  [policyText(statement({ Principal: undefined })), /Principal/],
  [policyText(statement({ Principal: 'u1' })), /Invalid principal/],
  [policyText(statement({ Principal: { User: 'u1' } })), /Invalid principal type/],
  [policyText(statement({ Principal: { AWS: 'arn:aws:s3:::docs' } })), /Invalid principal/],
  [policyText(statement({ Principal: undefined, NotPrincipal: { AWS: 'u1' } })), /NotPrincipal/],
  [policyText(statement({ Action: 's3:GetObjekt' })), /invalid action: s3:GetObjekt/],
  [policyText(statement({ Action: 'iam:*' })), /invalid action/],
  [policyText(statement({ Action: [] })), /Action is empty/],
  [policyText(statement({ NotAction: 's3:GetObject' })), /either Action or NotAction/],
  [policyText(statement({ Resource: 'arn:aws:s3:::other/*' })), /invalid resource/],
  [policyText(statement({ Resource: 'docs/*' })), /invalid resource/],
  [policyText(statement({ Condition: { StringEqual: { 's3:prefix': 'a' } } })), /invalid condition operator: StringEqual/],
  [policyText(statement({ Condition: { StringEquals: { 's3:prefixx': 'a' } } })), /invalid condition key: s3:prefixx/],
  [policyText(statement({ Condition: { IpAddress: { 'aws:SourceIp': '10.0.0.0/33' } } })), /invalid IP address/],
  [policyText(statement({ Condition: { StringEquals: { 'aws:SourceIp': '10.0.0.1' } } })), /IpAddress/],
  [policyText(statement({ Condition: { NumericEquals: { 's3:max-keys': 'x' } } })), /invalid value/],
  [policyText(statement({ Condition: { Bool: { 'aws:SecureTransport': 'yes' } } })), /invalid value/],
  [policyText(statement({ Sid: 'a' }), statement({ Sid: 'a' })), /unique/],
  [policyText(statement({ Sid: 'x'.repeat(21_000) })), /20 KB/],
];
for (const [text, reason] of refused)
  test(`MalformedPolicy ${reason} ${text.slice(0, 120)}`, () =>
    assert.throws(
      () => parsePolicy(text, 'docs'),
      (error) => error instanceof S3Error && error.code === 'MalformedPolicy' && reason.test(error.message),
    ));

test('a stored policy that cannot be read denies everything', () => {
  const question = { userId: 'u1', action: 's3:GetObject', resource: 'docs/a', context: contextOf({}) };
  assert.equal(evaluatePolicy(storedPolicy('{}', 'docs'), question), 'deny');
});

const open: readonly (readonly [fields: Fields, isPublic: boolean])[] = [
  [{}, true],
  [{ Effect: 'Deny' }, false],
  [{ Principal: { CanonicalUser: 'u1' } }, false],
  [{ Condition: { IpAddress: { 'aws:SourceIp': '10.0.0.0/8' } } }, false],
  [{ Condition: { IpAddress: { 'aws:SourceIp': '0.0.0.0/0' } } }, true],
  [{ Condition: { IpAddress: { 'aws:SourceIp': ['10.0.0.1', '0.0.0.0/1'] } } }, true],
  [{ Condition: { StringEquals: { 'aws:Referer': 'me' } } }, true],
  [{ Condition: { NotIpAddress: { 'aws:SourceIp': '10.0.0.0/8' } } }, true],
  [{ Condition: { StringLike: { 'aws:username': '*' } } }, true],
  [{ Condition: { StringEqualsIfExists: { 'aws:username': 'ann' } } }, true],
];
for (const [fields, isPublic] of open)
  test(`${JSON.stringify(fields)} is ${isPublic ? '' : 'not '}public`, () =>
    assert.equal(parsePolicy(policyText(statement(fields)), 'docs').isPublic, isPublic));

const actions: readonly (readonly [request: Parameters<typeof actionsOf>[0], expected: string])[] = [
  [{ operation: 'GetObject', headers: new Map() }, 's3:GetObject'],
  [{ operation: 'GetObject', versionId: 'v', headers: new Map() }, 's3:GetObjectVersion'],
  [{ operation: 'HeadObject', versionId: 'null', headers: new Map() }, 's3:GetObjectVersion'],
  [{ operation: 'GetObjectAttributes', headers: new Map() }, 's3:GetObjectAttributes s3:GetObject'],
  [{ operation: 'ListObjectsV2', headers: new Map() }, 's3:ListBucket'],
  [{ operation: 'UploadPartCopy', headers: new Map() }, 's3:PutObject'],
  [{ operation: 'PutObject', headers: new Map([['x-amz-tagging', 'a=b']]) }, 's3:PutObject (s3:PutObjectTagging)'],
  [{ operation: 'PutObject', headers: new Map([['x-amz-grant-read', 'id=u']]) }, 's3:PutObject (s3:PutObjectAcl)'],
  [
    { operation: 'CopyObject', headers: new Map([['x-amz-object-lock-mode', 'GOVERNANCE']]) },
    's3:PutObject s3:PutObjectRetention',
  ],
  [{ operation: 'GetObject', headers: new Map([['x-amz-copy-source', 'a/b']]) }, 's3:GetObject (s3:GetObjectTagging)'],
  [
    { operation: 'DeleteObject', versionId: 'v', headers: new Map([['x-amz-bypass-governance-retention', 'true']]) },
    's3:DeleteObjectVersion [s3:BypassGovernanceRetention]',
  ],
];
for (const [request, expected] of actions)
  test(`${request.operation} ${request.versionId ?? ''} ${[...request.headers.keys()]} is ${expected}`, () => {
    const { needed, implied, special } = actionsOf(request);
    assert.equal([...needed, ...implied.map((name) => `(${name})`), ...special.map((name) => `[${name}]`)].join(' '), expected);
  });
