import { createHash } from 'node:crypto';
import { isoTime } from '#lib/iso-time.ts';
import { type XmlChild, type XmlNode, xml } from '#lib/xml.ts';
import type { LifecycleFilter, LifecycleRule } from './bucket-settings.ts';
import { S3Error } from './errors.ts';
import { parseIsoTime } from './object-lock.ts';
import { readTags, tagElements } from './tagging.ts';

const rulesMax = 1_000;
const idLengthMax = 255;
const dayMs = 86_400_000;

const invalid = (message: string): S3Error => new S3Error('InvalidArgument', message);

/** Errors: `MalformedXML`, `InvalidArgument`, `InvalidRequest`; `NotImplemented` for moving objects to other storage classes. */
export function readLifecycle(document: XmlNode): readonly LifecycleRule[] {
  const nodes = document.all('Rule');
  if (nodes.length === 0 || nodes.length > rulesMax) throw new S3Error('MalformedXML');
  const rules = nodes.map(readRule);
  if (new Set(rules.map(({ id }) => id)).size < rules.length)
    throw invalid('Rule ID must be unique. Found same ID for more than one rule');
  return rules;
}

function readRule(node: XmlNode, at: number): LifecycleRule {
  const status = node.value('Status')?.trim();
  if (status !== 'Enabled' && status !== 'Disabled') throw new S3Error('MalformedXML');
  const id = node.value('ID') || `rule-${createHash('sha256').update(`${at}`).digest('hex').slice(0, 12)}`;
  if (id.length > idLengthMax) throw invalid(`ID length should not exceed allowed limit of ${idLengthMax}`);
  for (const name of ['Transition', 'NoncurrentVersionTransition']) {
    const transitions = node.all(name);
    for (const date of transitions.flatMap((one) => one.value('Date')?.trim() ?? [])) readMidnight(date);
    if (transitions.length > 0)
      throw new S3Error('NotImplemented', `${name}: there is only one kind of storage to move objects to`);
  }
  const [expiration, noncurrent, abort] = ['Expiration', 'NoncurrentVersionExpiration', 'AbortIncompleteMultipartUpload'].map(
    (name) => node.all(name)[0],
  );
  if (!expiration && !noncurrent && !abort) throw new S3Error('MalformedXML');
  const [filter, prefix] = [node.all('Filter')[0], node.value('Prefix')];
  if (filter && prefix !== undefined) throw new S3Error('MalformedXML');
  if (!filter && prefix === undefined) throw new S3Error('MalformedXML');
  const rule: LifecycleRule = {
    id,
    isEnabled: status === 'Enabled',
    filter: filter ? readFilter(filter) : { prefix: prefix ?? '' },
    ...(filter ? {} : { hasPlainPrefix: true }),
    ...(expiration ? readExpiration(expiration) : {}),
    ...(noncurrent ? readNoncurrent(noncurrent) : {}),
    ...(abort ? { abortUploadsAfterDays: readCount(abort, 'DaysAfterInitiation', 'AbortIncompleteMultipartUpload') } : {}),
  };
  const { tags, sizeBytesAbove, sizeBytesBelow } = rule.filter;
  if (abort && (tags || sizeBytesAbove !== undefined || sizeBytesBelow !== undefined))
    throw new S3Error('InvalidRequest', 'AbortIncompleteMultipartUpload cannot be specified with Tags or object sizes.');
  if (rule.expiresDeleteMarkers && tags)
    throw new S3Error('InvalidRequest', 'ExpiredObjectDeleteMarker cannot be specified with Tags.');
  return rule;
}

/** Any number of conditions, inside `And` as they should be or, as many tools write them, without. */
function readFilter(node: XmlNode): LifecycleFilter {
  const [and] = node.all('And');
  const from = and ?? node;
  const tags = Object.fromEntries(readTags(from));
  const [prefix, above, below] = [
    from.value('Prefix'),
    readSize(from, 'ObjectSizeGreaterThan'),
    readSize(from, 'ObjectSizeLessThan'),
  ];
  const tagCount = from.all('Tag').length;
  if (Object.keys(tags).length < tagCount) throw new S3Error('InvalidRequest', 'Duplicate Tag Keys are not allowed.');
  if (above !== undefined && below !== undefined && above >= below)
    throw new S3Error('InvalidRequest', 'ObjectSizeGreaterThan must be less than ObjectSizeLessThan');
  return {
    ...(prefix === undefined ? {} : { prefix }),
    ...(tagCount > 0 ? { tags } : {}),
    ...(above === undefined ? {} : { sizeBytesAbove: above }),
    ...(below === undefined ? {} : { sizeBytesBelow: below }),
  };
}

function readSize(node: XmlNode, name: string): number | undefined {
  const text = node.value(name)?.trim();
  if (text === undefined) return undefined;
  if (!/^\d{1,15}$/.test(text)) throw new S3Error('MalformedXML');
  return Number(text);
}

function readExpiration(node: XmlNode): Partial<LifecycleRule> {
  const [days, date, markers] = [node.value('Days'), node.value('Date')?.trim(), node.value('ExpiredObjectDeleteMarker')?.trim()];
  if ([days, date, markers].filter((value) => value !== undefined).length !== 1) throw new S3Error('MalformedXML');
  if (days !== undefined) return { expireAfterDays: readCount(node, 'Days', 'Expiration') };
  if (date !== undefined) return { expireAtMs: readMidnight(date) };
  if (markers !== 'true' && markers !== 'false') throw new S3Error('MalformedXML');
  return { expiresDeleteMarkers: markers === 'true' };
}

/** Unit: milliseconds since 1970. */
function readMidnight(date: string): number {
  const timeMs = parseIsoTime(date);
  if (timeMs === undefined) throw new S3Error('MalformedXML');
  if (timeMs % dayMs !== 0) throw invalid("'Date' must be at midnight GMT");
  return timeMs;
}

function readNoncurrent(node: XmlNode): Partial<LifecycleRule> {
  const kept =
    node.value('NewerNoncurrentVersions') === undefined
      ? undefined
      : readCount(node, 'NewerNoncurrentVersions', 'NoncurrentVersionExpiration');
  if (kept !== undefined && kept > 100)
    throw invalid("'NewerNoncurrentVersions' for NoncurrentVersionExpiration action must be between 1 and 100");
  return {
    noncurrentExpireAfterDays: readCount(node, 'NoncurrentDays', 'NoncurrentVersionExpiration'),
    ...(kept === undefined ? {} : { noncurrentVersionsKept: kept }),
  };
}

function readCount(node: XmlNode, name: string, action: string): number {
  const text = node.value(name)?.trim();
  if (text === undefined || !/^-?\d+$/.test(text)) throw new S3Error('MalformedXML');
  const count = Number(text);
  if (count < 1 || count > 2 ** 31 - 1) throw invalid(`'${name}' for ${action} action must be a positive integer`);
  return count;
}

export const lifecycleElements = (rules: readonly LifecycleRule[]): XmlChild[] =>
  rules.map((rule) =>
    xml('Rule', [
      xml('ID', rule.id),
      rule.hasPlainPrefix ? xml('Prefix', rule.filter.prefix ?? '') : xml('Filter', filterElements(rule.filter)),
      xml('Status', rule.isEnabled ? 'Enabled' : 'Disabled'),
      element('Expiration', [
        xml('Days', rule.expireAfterDays),
        rule.expireAtMs !== undefined && xml('Date', isoTime(rule.expireAtMs)),
        xml('ExpiredObjectDeleteMarker', rule.expiresDeleteMarkers),
      ]),
      element('NoncurrentVersionExpiration', [
        xml('NoncurrentDays', rule.noncurrentExpireAfterDays),
        xml('NewerNoncurrentVersions', rule.noncurrentVersionsKept),
      ]),
      element('AbortIncompleteMultipartUpload', [xml('DaysAfterInitiation', rule.abortUploadsAfterDays)]),
    ]),
  );

function element(name: string, children: readonly XmlChild[]): XmlChild {
  const present = children.filter((child) => child);
  return present.length > 0 && xml(name, present);
}

function filterElements({ prefix, tags, sizeBytesAbove, sizeBytesBelow }: LifecycleFilter): XmlChild[] {
  const all = [
    xml('Prefix', prefix),
    ...(tags ? tagElements(tags) : []),
    xml('ObjectSizeGreaterThan', sizeBytesAbove),
    xml('ObjectSizeLessThan', sizeBytesBelow),
  ].filter((child) => child);
  return all.length > 1 ? [xml('And', all)] : all;
}
