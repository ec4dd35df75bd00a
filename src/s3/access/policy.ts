import { Lru } from '#lib/lru.ts';
import { matchesWildcard, parseWildcard, type Wildcard } from '#lib/wildcard.ts';
import { S3Error } from '../errors.ts';
import { operationNames } from '../operation-names.ts';
import { knownActions } from './actions.ts';
import {
  type Condition,
  type ConditionContext,
  type ParsePattern,
  type Pattern,
  parseCondition,
  parseFixed,
  parsePattern,
} from './conditions.ts';

/** A bucket policy, read and made ready. */
export interface BucketPolicy {
  readonly statements: readonly Statement[];
  /** It lets anybody in: some statement allows everybody, with no condition on who or where they are. */
  readonly isPublic: boolean;
  /** It speaks of tags of the object, so that these have to be looked up. */
  readonly needsObjectTags: boolean;
}

interface Statement {
  readonly isAllow: boolean;
  readonly principals: (userId: string | undefined) => boolean;
  readonly actions: (action: string) => boolean;
  readonly resources: (resource: string, context: ConditionContext) => boolean;
  readonly conditions: readonly Condition[];
  readonly isPublic: boolean;
}

export interface PolicyQuestion {
  /** Absent: somebody who did not say. */
  readonly userId: string | undefined;
  /** Such as `s3:GetObject`. */
  readonly action: string;
  /** `bucket` or `bucket/key`. */
  readonly resource: string;
  readonly context: ConditionContext;
}

/** A policy that denies wins over any number that allow. */
export function evaluatePolicy({ statements }: BucketPolicy, question: PolicyQuestion): 'allow' | 'deny' | 'none' {
  let found: 'allow' | 'none' = 'none';
  const action = question.action.toLowerCase();
  for (const { isAllow, principals, actions, resources, conditions } of statements) {
    if (isAllow && found === 'allow') continue;
    const applies =
      principals(question.userId) &&
      actions(action) &&
      resources(question.resource, question.context) &&
      conditions.every((condition) => condition(question.context));
    if (!applies) continue;
    if (!isAllow) return 'deny';
    found = 'allow';
  }
  return found;
}

const textSizeBytesMax = 20 * 1024;
const statementsMax = 200;
/** Users of this installation, as policies call them; S3 writes a number here. */
const accounts = new Set(['', 'cellar']);

const actionsKnown = knownActions(operationNames);

/**
 * Reads the text of a policy for a bucket, strictly: what we do not know is refused, since it would not do what it says.
 * Errors: `MalformedPolicy` with the reason.
 */
export function parsePolicy(text: string, bucket: string): BucketPolicy {
  if (Buffer.byteLength(text) > textSizeBytesMax) throw malformed('Policy exceeds the maximum allowed size of 20 KB');
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (cause) {
    throw new S3Error('MalformedPolicy', 'This policy contains invalid Json', { cause });
  }
  const fields = fieldsOf(document, 'The policy', ['Version', 'Id', 'Statement']);
  const version = fields['Version'] ?? '2008-10-17';
  if (version !== '2012-10-17' && version !== '2008-10-17') throw malformed('The policy must contain a valid version string');
  if (fields['Id'] !== undefined && typeof fields['Id'] !== 'string') throw malformed('Id must be text');
  const list = Array.isArray(fields['Statement']) ? fields['Statement'] : [fields['Statement']];
  if (fields['Statement'] === undefined || list.length === 0) throw malformed('Missing required field Statement');
  if (list.length > statementsMax) throw malformed(`Policy has more than ${statementsMax} statements`);
  const sids = list.map((item) => (isRecord(item) ? item['Sid'] : undefined)).filter((sid) => sid !== undefined && sid !== '');
  if (new Set(sids).size !== sids.length) throw malformed('Statement IDs (SID) in a single policy must be unique');
  // Variables came with the newer version; in the older one they are plain text.
  const parse = version === '2012-10-17' ? parsePattern : parseFixed;
  const statements = list.map((item) => parseStatement(item, bucket, parse));
  return {
    statements,
    isPublic: statements.some((statement) => statement.isAllow && statement.isPublic),
    needsObjectTags: /s3:ExistingObjectTag/i.test(text),
  };
}

const known = new Lru<string, BucketPolicy>(1_000);

/** A policy that was put once. One that can no longer be read denies everything: what it forbade is not known. */
export function storedPolicy(text: string, bucket: string): BucketPolicy {
  const id = `${bucket} ${text}`;
  let policy = known.get(id);
  if (!policy) {
    try {
      policy = parsePolicy(text, bucket);
    } catch (error) {
      if (!(error instanceof S3Error)) throw error;
      policy = denyAll;
    }
    known.set(id, policy);
  }
  return policy;
}

const always = (): boolean => true;
const denyAll: BucketPolicy = {
  statements: [{ isAllow: false, principals: always, actions: always, resources: always, conditions: [], isPublic: false }],
  isPublic: false,
  needsObjectTags: false,
};

function parseStatement(item: unknown, bucket: string, parse: ParsePattern): Statement {
  const fields = fieldsOf(item, 'A statement', [
    'Sid',
    'Effect',
    'Principal',
    'NotPrincipal',
    'Action',
    'NotAction',
    'Resource',
    'NotResource',
    'Condition',
  ]);
  if (fields['Sid'] !== undefined && typeof fields['Sid'] !== 'string') throw malformed('Sid must be text');
  const effect = fields['Effect'];
  if (effect !== 'Allow' && effect !== 'Deny') throw malformed('Effect must be Allow or Deny');
  const isAllow = effect === 'Allow';
  const [principal, isNotPrincipal] = oneOf(fields, 'Principal');
  // Everybody but one is the whole world; who means it says so.
  if (isAllow && isNotPrincipal) throw malformed('Allow with NotPrincipal is not supported');
  const named = parsePrincipal(principal);
  const [action, isNotAction] = oneOf(fields, 'Action');
  const actions = texts(action, 'Action').map(parseAction);
  const [resource, isNotResource] = oneOf(fields, 'Resource');
  const resources = texts(resource, 'Resource').map((text) => parseResource(text, bucket, parse));
  const parsed = parseConditions(fields['Condition'], parse);
  return {
    isAllow,
    principals: (userId) => named(userId) !== isNotPrincipal,
    actions: (name) => actions.some((pattern) => matchesWildcard(pattern, name)) !== isNotAction,
    resources: (name, context) =>
      resources.some((pattern) => {
        const made = pattern(context);
        return made !== undefined && matchesWildcard(made, name);
      }) !== isNotResource,
    conditions: parsed.conditions,
    isPublic: named(undefined) && !parsed.narrows,
  };
}

/** The field or its `Not` sister, exactly one of which is needed. */
function oneOf(fields: Readonly<Record<string, unknown>>, name: string): readonly [value: unknown, isNot: boolean] {
  const [plain, not] = [fields[name], fields[`Not${name}`]];
  if ((plain === undefined) === (not === undefined)) throw malformed(`A statement needs either ${name} or Not${name}`);
  return plain === undefined ? [not, true] : [plain, false];
}

function parsePrincipal(value: unknown): (userId: string | undefined) => boolean {
  if (value === '*') return always;
  if (!isRecord(value) || Object.keys(value).length === 0) throw malformed('Invalid principal in policy');
  const ids = new Set<string>();
  for (const [kind, names] of Object.entries(value)) {
    if (!['AWS', 'CanonicalUser', 'Service', 'Federated'].includes(kind))
      throw malformed(`Invalid principal type in policy: ${kind}`);
    for (const name of texts(names, 'Principal')) {
      if (kind === 'CanonicalUser') ids.add(name);
      if (kind !== 'AWS') continue;
      if (name === '*') return always;
      const [, account, user] = /^arn:aws:iam::([^:]*):(?:root|(?:user|role|group)\/(.+))$/.exec(name) ?? [];
      if (account === undefined && !/^[\w-]+$/.test(name)) throw malformed(`Invalid principal in policy: "AWS" : "${name}"`);
      if (account === undefined) ids.add(name);
      else if (user !== undefined && accounts.has(account) && name.includes(':user/')) ids.add(user);
    }
  }
  return (userId) => userId !== undefined && ids.has(userId);
}

function parseAction(text: string): Wildcard {
  const pattern = parseWildcard(text.toLowerCase());
  const isKnown =
    text === '*' || (/^s3:[\w*?]+$/i.test(text) && [...actionsKnown].some((name) => matchesWildcard(pattern, name)));
  if (!isKnown) throw malformed(`Policy has invalid action: ${text}`);
  return pattern;
}

const arnPrefix = 'arn:aws:s3:::';

/** Shape: `arn:aws:s3:::bucket` or `arn:aws:s3:::bucket/keys*`, or `*`. Errors: `MalformedPolicy` when it cannot be in the bucket. */
function parseResource(text: string, bucket: string, parse: ParsePattern): Pattern {
  if (text === '*') return parse('*', true);
  const name = text.slice(arnPrefix.length);
  const end = name.search(/[/*?$]/);
  const first = end < 0 ? name : name.slice(0, end);
  const isInside = end < 0 || name[end] === '/' ? first === bucket : bucket.startsWith(first);
  if (!text.startsWith(arnPrefix) || name === '' || !isInside) throw malformed(`Policy has invalid resource: ${text}`);
  return parse(name, true);
}

/** Conditions on who or where somebody is: what is open to everybody who meets one of these is not public. */
const narrowing = new Set(['aws:sourceip', 'aws:principalarn', 'aws:userid', 'aws:username']);

function parseConditions(value: unknown, parse: ParsePattern): { conditions: Condition[]; narrows: boolean } {
  const conditions: Condition[] = [];
  let narrows = false;
  if (value === undefined) return { conditions, narrows };
  if (!isRecord(value)) throw malformed('Condition must be an object');
  for (const [operator, block] of Object.entries(value)) {
    if (!isRecord(block)) throw malformed(`Condition ${operator} must be an object`);
    for (const [key, given] of Object.entries(block)) {
      const values = texts(given, `Condition ${operator}`);
      conditions.push(parseCondition(operator, key, values, parse));
      const isFixed = /^(stringequals|stringequalsignorecase|stringlike|arnequals|arnlike|ipaddress)$/i.test(operator);
      if (isFixed && narrowing.has(key.toLowerCase()) && !values.some((text) => /[*?]|\$\{/.test(text) || isWideNetwork(text)))
        narrows = true;
    }
  }
  return { conditions, narrows };
}

/** So wide a network that it is as good as everywhere. Source: "The meaning of public", S3. */
function isWideNetwork(text: string): boolean {
  const bits = /\/(\d+)$/.exec(text)?.[1];
  return bits !== undefined && Number(bits) < (text.includes(':') ? 32 : 8);
}

/** A text or a list of texts; numbers and truths are taken as they are written. */
function texts(value: unknown, name: string): string[] {
  const list = Array.isArray(value) ? value : [value];
  if (list.length === 0) throw malformed(`${name} is empty`);
  return list.map((item) => {
    if (typeof item !== 'string' && typeof item !== 'number' && typeof item !== 'boolean')
      throw malformed(`${name} must be text`);
    return String(item);
  });
}

function fieldsOf(value: unknown, what: string, names: readonly string[]): Readonly<Record<string, unknown>> {
  if (!isRecord(value)) throw malformed(`${what} must be an object`);
  const unknown = Object.keys(value).find((name) => !names.includes(name));
  if (unknown !== undefined) throw malformed(`${what} has an unknown field: ${unknown}`);
  return value;
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const malformed = (reason: string): S3Error => new S3Error('MalformedPolicy', reason);
