import { BlockList, isIPv4, isIPv6 } from 'node:net';
import { literal, matchesWildcard, parseWildcard, type Wildcard } from '#lib/wildcard.ts';
import { S3Error } from '../errors.ts';

/**
 * What is known of a request, by condition key in lower case, such as `aws:sourceip`; of keys with a tag's name only the part before the `/`
 * is in lower case. Absent: the request has no such thing.
 */
export type ConditionContext = (key: string) => readonly string[] | undefined;

/** Does a request meet a condition? */
export type Condition = (context: ConditionContext) => boolean;

/** Source: "Condition keys for Amazon S3" and "AWS global condition context keys". Those of which we know the value. */
const keys = new Set(
  (
    'aws:currenttime aws:epochtime aws:principalarn aws:principaltype aws:referer aws:securetransport aws:sourceip aws:useragent aws:userid ' +
    'aws:username s3:authtype s3:delimiter s3:if-match s3:if-none-match s3:locationconstraint s3:max-keys s3:object-lock-legal-hold s3:object-lock-mode ' +
    's3:object-lock-remaining-retention-days s3:object-lock-retain-until-date s3:prefix s3:requestobjecttagkeys s3:signatureage ' +
    's3:signatureversion s3:versionid s3:x-amz-acl s3:x-amz-content-sha256 s3:x-amz-copy-source s3:x-amz-grant-full-control ' +
    's3:x-amz-grant-read s3:x-amz-grant-read-acp s3:x-amz-grant-write s3:x-amz-grant-write-acp s3:x-amz-metadata-directive ' +
    's3:x-amz-object-ownership s3:x-amz-server-side-encryption s3:x-amz-server-side-encryption-aws-kms-key-id ' +
    's3:x-amz-server-side-encryption-customer-algorithm s3:x-amz-storage-class s3:x-amz-website-redirect-location'
  ).split(' '),
);
const tagKeys = new Set(['s3:existingobjecttag', 's3:requestobjecttag']);

/** A key as contexts are asked for it. Errors: `MalformedPolicy` for one we do not know: what it guards would be open. */
export function conditionKey(text: string): string {
  const slash = text.indexOf('/');
  const base = (slash < 0 ? text : text.slice(0, slash)).toLowerCase();
  if (slash < 0 ? keys.has(base) : tagKeys.has(base)) return slash < 0 ? base : base + text.slice(slash);
  throw new S3Error('MalformedPolicy', `Policy has an invalid condition key: ${text}`);
}

/** Says of one value of a policy whether a value of the request fits it. */
type Fits = (value: string, context: ConditionContext) => boolean;
type Read = (text: string, parse: ParsePattern) => Fits;
/** Reads a text with variables, and wildcards if asked for. */
export type ParsePattern = (text: string, withWildcards: boolean) => Pattern;
/** Undefined: a variable has no value. */
export type Pattern = (context: ConditionContext) => Wildcard | undefined;

const text =
  (withWildcards: boolean, change: (text: string) => string = (same) => same): Read =>
  (wanted, parse) => {
    const pattern = parse(change(wanted), withWildcards);
    return (value, context) => {
      const made = pattern(context);
      return made !== undefined && matchesWildcard(made, change(value));
    };
  };

const number = (value: string): number => (/^[+-]?\d+(\.\d+)?$/.test(value.trim()) ? Number(value) : Number.NaN);
/** ISO 8601, or seconds since 1970. */
const date = (value: string): number => (/^\d{1,12}$/.test(value) ? Number(value) * 1_000 : Date.parse(value));

const compared =
  (read: (text: string) => number, holds: (value: number, wanted: number) => boolean): Read =>
  (wanted) => {
    const limit = read(wanted);
    if (Number.isNaN(limit)) throw new S3Error('MalformedPolicy', `Policy has an invalid value in a condition: ${wanted}`);
    return (value) => holds(read(value), limit);
  };

const address: Read = (wanted) => {
  const [network = '', bits] = wanted.split('/');
  const family = isIPv4(network) ? 'ipv4' : isIPv6(network) ? 'ipv6' : undefined;
  const bitsMax = family === 'ipv4' ? 32 : 128;
  const length = bits === undefined ? bitsMax : /^\d{1,3}$/.test(bits) ? Number(bits) : Number.NaN;
  if (!family || !(length <= bitsMax)) throw new S3Error('MalformedPolicy', `Policy has an invalid IP address: ${wanted}`);
  const list = new BlockList();
  list.addSubnet(network, length, family);
  return (value) => (isIPv4(value) && list.check(value, 'ipv4')) || (isIPv6(value) && list.check(value, 'ipv6'));
};

const truth: Read = (wanted) => {
  const expected = wanted.toLowerCase();
  if (expected !== 'true' && expected !== 'false')
    throw new S3Error('MalformedPolicy', `Policy has an invalid value in a condition: ${wanted}`);
  return (value) => value.toLowerCase() === expected;
};

const lower = (value: string): string => value.toLowerCase();

/** Operators by name in lower case; those that are true when nothing fits have `not`. */
const operators: Readonly<Record<string, { readonly read: Read; readonly isNegated?: boolean }>> = {
  stringequals: { read: text(false) },
  stringnotequals: { read: text(false), isNegated: true },
  stringequalsignorecase: { read: text(false, lower) },
  stringnotequalsignorecase: { read: text(false, lower), isNegated: true },
  stringlike: { read: text(true) },
  stringnotlike: { read: text(true), isNegated: true },
  arnequals: { read: text(true) },
  arnnotequals: { read: text(true), isNegated: true },
  arnlike: { read: text(true) },
  arnnotlike: { read: text(true), isNegated: true },
  binaryequals: { read: text(false) },
  numericequals: { read: compared(number, (value, wanted) => value === wanted) },
  numericnotequals: { read: compared(number, (value, wanted) => value === wanted), isNegated: true },
  numericlessthan: { read: compared(number, (value, wanted) => value < wanted) },
  numericlessthanequals: { read: compared(number, (value, wanted) => value <= wanted) },
  numericgreaterthan: { read: compared(number, (value, wanted) => value > wanted) },
  numericgreaterthanequals: { read: compared(number, (value, wanted) => value >= wanted) },
  dateequals: { read: compared(date, (value, wanted) => value === wanted) },
  datenotequals: { read: compared(date, (value, wanted) => value === wanted), isNegated: true },
  datelessthan: { read: compared(date, (value, wanted) => value < wanted) },
  datelessthanequals: { read: compared(date, (value, wanted) => value <= wanted) },
  dategreaterthan: { read: compared(date, (value, wanted) => value > wanted) },
  dategreaterthanequals: { read: compared(date, (value, wanted) => value >= wanted) },
  bool: { read: truth },
  ipaddress: { read: address },
  notipaddress: { read: address, isNegated: true },
};

/** Errors: `MalformedPolicy`. Source: "IAM JSON policy elements: Condition operators" and "... multivalued context keys". */
export function parseCondition(operator: string, keyText: string, values: readonly string[], parse: ParsePattern): Condition {
  const key = conditionKey(keyText);
  const match = /^(?:(forallvalues|foranyvalue):)?(\w+?)(ifexists)?$/.exec(operator.toLowerCase());
  const [, quantifier, name = '', ifExists] = match ?? [];
  if (name === 'null' && !ifExists && !quantifier) {
    const wanted = values.map((value) => truth(value, parse));
    return (context) => wanted.some((fits) => fits(String(context(key) === undefined), context));
  }
  const found = Object.hasOwn(operators, name) ? operators[name] : undefined;
  if (!found) throw new S3Error('MalformedPolicy', `Policy has an invalid condition operator: ${operator}`);
  if (key === 'aws:sourceip' && !/ipaddress$/.test(name))
    throw new S3Error('MalformedPolicy', `${operator} cannot be used with aws:SourceIp; use IpAddress or NotIpAddress`);
  const { read, isNegated = false } = found;
  const wanted = values.map((value) => read(value, parse));
  return (context) => {
    const given = context(key);
    if (given === undefined) return ifExists !== undefined || quantifier === 'forallvalues' || (isNegated && !quantifier);
    const holds = (value: string): boolean => wanted.some((fits) => fits(value, context)) !== isNegated;
    // Of several values without a quantifier each has to pass where something is excluded, and one where something is asked for.
    return quantifier === 'forallvalues' || (isNegated && !quantifier) ? given.every(holds) : given.some(holds);
  };
}

/** Reads text without variables. */
export const parseFixed: ParsePattern = (source, withWildcards) => {
  const fixed = (withWildcards ? parseWildcard : literal)(source);
  return () => fixed;
};

/** Reads text with `${variables}`; their values never act as wildcards. Errors: `MalformedPolicy` for a variable we do not know. */
export function parsePattern(source: string, withWildcards: boolean): Pattern {
  if (!source.includes('$')) return parseFixed(source, withWildcards);
  const plain = withWildcards ? parseWildcard : literal;
  const parts = source
    .split(/(\$\{[^}]*\})/)
    .map((part): Wildcard | { readonly key: string; readonly otherwise: string | undefined } => {
      const variable = /^\$\{([^}]*)\}$/.exec(part)?.[1];
      if (variable === undefined) return plain(part);
      if (variable === '*' || variable === '?' || variable === '$') return literal(variable);
      const [, key = '', otherwise] = /^([^,\s]+)\s*(?:,\s*'([^']*)')?$/.exec(variable.trim()) ?? [];
      return { key: conditionKey(key), otherwise };
    });
  return (context) => {
    const made: Wildcard[] = [];
    for (const part of parts) {
      if (!('key' in part)) made.push(part);
      else {
        const values = context(part.key);
        const value = values?.length === 1 ? values[0] : part.otherwise;
        if (value === undefined) return undefined;
        made.push(literal(value));
      }
    }
    return made.flat();
  };
}
