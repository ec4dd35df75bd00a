import type { XmlNode } from '#lib/xml.ts';
import type { S3Answer } from '../answer.ts';
import type { ObjectLock } from '../bucket-settings.ts';
import type { S3Call } from '../call.ts';
import { S3Error } from '../errors.ts';
import { isLockMode } from '../object-lock.ts';

/** Source: S3, "Object Lock considerations". */
const daysMax = 36_500;
const yearsMax = 100;

export async function putObjectLockConfiguration(call: S3Call): Promise<S3Answer> {
  const objectLock = readObjectLock(await call.xml('ObjectLockConfiguration'));
  await call.backend.changeBucketSettings(call.bucket, (settings) => {
    if (settings.versioning !== 'Enabled')
      throw new S3Error('InvalidBucketState', "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration");
    return { ...settings, objectLock };
  });
  return {};
}

function readObjectLock(document: XmlNode): ObjectLock {
  if (document.value('ObjectLockEnabled')?.trim() !== 'Enabled') throw new S3Error('MalformedXML');
  const [rule] = document.all('Rule');
  if (!rule) return {};
  const [preset] = rule.all('DefaultRetention');
  const mode = preset?.value('Mode')?.trim();
  const [days, years] = [preset?.value('Days'), preset?.value('Years')];
  if (!isLockMode(mode) || (days === undefined) === (years === undefined)) throw new S3Error('MalformedXML');
  return days === undefined
    ? { mode, years: readPeriod(years ?? '', 'years', yearsMax) }
    : { mode, days: readPeriod(days, 'days', daysMax) };
}

function readPeriod(text: string, unit: 'days' | 'years', max: number): number {
  if (!/^-?\d{1,9}$/.test(text.trim())) throw new S3Error('MalformedXML');
  const count = Number(text);
  if (count < 1) throw new S3Error('InvalidRetentionPeriod', 'Default retention period must be a positive integer value');
  if (count > max) throw new S3Error('InvalidRetentionPeriod', `Default retention period cannot be longer than ${max} ${unit}`);
  return count;
}
