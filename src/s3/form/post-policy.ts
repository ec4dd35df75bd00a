import { S3Error } from '../errors.ts';

/** What somebody who signed a form allows whoever has it to upload. */
export interface PostPolicy {
  /** Unit: milliseconds since 1970. */
  readonly expirationMs: number;
  readonly conditions: readonly PostCondition[];
  /** Sizes the file may have; both inclusive, in bytes. */
  readonly sizeBytesMin: number;
  readonly sizeBytesMax: number;
}

export interface PostCondition {
  readonly kind: 'eq' | 'starts-with';
  /** Lower case. */
  readonly field: string;
  readonly value: string;
}

const conditionsMax = 200;

/**
 * Reads a policy from a form, which has it in Base64.
 * Errors: `InvalidPolicyDocument` with the reason. Source: "Creating a POST policy", S3.
 */
export function parsePostPolicy(base64: string): PostPolicy {
  let document: unknown;
  try {
    document = JSON.parse(Buffer.from(base64, 'base64').toString());
  } catch (cause) {
    throw new S3Error('InvalidPolicyDocument', 'Invalid Policy: Invalid JSON.', { cause });
  }
  if (!isRecord(document)) throw invalid('Policy must be an object');
  const { expiration, conditions } = document;
  if (typeof expiration !== 'string') throw invalid('Policy missing expiration.');
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/.test(expiration) || Number.isNaN(Date.parse(expiration)))
    throw invalid(`Invalid 'expiration' value: '${expiration}'`);
  if (!Array.isArray(conditions)) throw invalid('Policy missing conditions.');
  if (conditions.length > conditionsMax) throw invalid(`Policy has more than ${conditionsMax} conditions.`);
  const found: PostCondition[] = [];
  let [sizeBytesMin, sizeBytesMax] = [0, Number.POSITIVE_INFINITY];
  for (const item of conditions) {
    if (Array.isArray(item) && String(item[0]).toLowerCase() === 'content-length-range') {
      const [min, max] = [readSize(item[1]), readSize(item[2])];
      if (item.length !== 3) throw invalid('content-length-range needs two sizes');
      sizeBytesMin = Math.max(sizeBytesMin, min);
      sizeBytesMax = Math.min(sizeBytesMax, max);
    } else found.push(...parseCondition(item));
  }
  return { expirationMs: Date.parse(expiration), conditions: found, sizeBytesMin, sizeBytesMax };
}

function parseCondition(item: unknown): PostCondition[] {
  if (Array.isArray(item)) {
    const [word, field, value] = item;
    const kind = typeof word === 'string' ? word.toLowerCase() : '';
    if ((kind !== 'eq' && kind !== 'starts-with') || item.length !== 3) throw invalid('Invalid condition: unknown operation.');
    if (typeof field !== 'string' || !field.startsWith('$') || typeof value !== 'string')
      throw invalid('Invalid condition: it needs a field, beginning with $, and a text.');
    return [{ kind, field: field.slice(1).toLowerCase(), value }];
  }
  const entries = isRecord(item) ? Object.entries(item) : [];
  if (entries.length === 0)
    throw invalid('Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.');
  return entries.map(([field, value]) => {
    if (typeof value !== 'string') throw invalid('Invalid Simple-Condition: value must be a string.');
    return { kind: 'eq', field: field.toLowerCase(), value };
  });
}

function readSize(value: unknown): number {
  const size = typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value;
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0)
    throw invalid('content-length-range has an invalid size');
  return size;
}

/** Fields that say nothing about the upload, or that the policy cannot speak of since they sign it. */
const free =
  /^(?:awsaccesskeyid|signature|x-amz-signature|policy|file|x-ignore-.*|x-amz-checksum-.*|x-amz-sdk-checksum-algorithm)$/;

/**
 * Checks every field of a form against the policy: each condition holds, and each field is spoken of.
 * `fields` has `bucket` and `key` as they are for the upload. Errors: `AccessDenied`.
 */
export function assertPostAllowed(policy: PostPolicy, fields: ReadonlyMap<string, string>, nowMs: number): void {
  if (nowMs > policy.expirationMs) throw denied('Policy expired.');
  for (const { kind, field, value } of policy.conditions) {
    const given = fields.get(field) ?? '';
    const holds = kind === 'eq' ? given === value : startsWith(field, given, value);
    if (!holds) throw denied(`Policy Condition failed: ["${kind}", "$${field}", "${value}"]`);
  }
  const spokenOf = new Set(policy.conditions.map(({ field }) => field));
  const extra = [...fields.keys()].filter((name) => name !== 'bucket' && !free.test(name) && !spokenOf.has(name));
  if (extra.length > 0) throw denied(`Extra input fields: ${extra.join(', ')}`);
}

/** Of several content types each has to begin so. */
const startsWith = (field: string, given: string, value: string): boolean =>
  (field === 'content-type' ? given.split(',') : [given]).every(
    (one) => one.trimStart().startsWith(value) || one.startsWith(value),
  );

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const invalid = (reason: string): S3Error => new S3Error('InvalidPolicyDocument', `Invalid Policy: ${reason}`);
const denied = (reason: string): S3Error => new S3Error('AccessDenied', `Invalid according to Policy: ${reason}`);
