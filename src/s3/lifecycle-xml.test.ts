import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseXml, writeXml } from '#lib/xml.ts';
import { S3Error } from './errors.ts';
import { lifecycleElements, readLifecycle } from './lifecycle-xml.ts';

const read = (rules: string) =>
  readLifecycle(parseXml(`<LifecycleConfiguration>${rules}</LifecycleConfiguration>`, 'LifecycleConfiguration'));
const codeOf = (rules: string): string => {
  try {
    read(rules);
    return 'ok';
  } catch (error) {
    assert.ok(error instanceof S3Error);
    return error.code;
  }
};
const rule = (content: string, status = 'Enabled'): string => `<Rule><ID>r</ID><Status>${status}</Status>${content}</Rule>`;
const days = '<Expiration><Days>3</Days></Expiration>';

const cases: readonly (readonly [what: string, rules: string, code: string])[] = [
  ['nothing', '', 'MalformedXML'],
  ['no filter or prefix', rule(days), 'MalformedXML'],
  ['both', rule(`<Prefix/><Filter/>${days}`), 'MalformedXML'],
  ['no action', rule('<Filter/>'), 'MalformedXML'],
  ['a status that is none', rule(`<Filter/>${days}`, 'enabled'), 'MalformedXML'],
  ['no days at all', rule('<Filter/><Expiration><Days>0</Days></Expiration>'), 'InvalidArgument'],
  ['half a day', rule('<Filter/><Expiration><Days>0.5</Days></Expiration>'), 'MalformedXML'],
  ['days and a date', rule('<Filter/><Expiration><Days>1</Days><Date>2030-01-01</Date></Expiration>'), 'MalformedXML'],
  ['noon', rule('<Filter/><Expiration><Date>2030-01-01T12:00:00Z</Date></Expiration>'), 'InvalidArgument'],
  ['no date', rule('<Filter/><Expiration><Date>20300101</Date></Expiration>'), 'MalformedXML'],
  ['a long id', rule(`<Filter/>${days}`).replace('<ID>r', `<ID>${'r'.repeat(256)}`), 'InvalidArgument'],
  ['the same id twice', rule(`<Filter/>${days}`).repeat(2), 'InvalidArgument'],
  [
    'markers with tags',
    rule(
      '<Filter><Tag><Key>a</Key><Value>b</Value></Tag></Filter><Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>',
    ),
    'InvalidRequest',
  ],
  [
    'uploads with tags',
    rule(
      '<Filter><Tag><Key>a</Key><Value>b</Value></Tag></Filter><AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload>',
    ),
    'InvalidRequest',
  ],
  [
    'a transition',
    rule(`<Filter/>${days}<Transition><Days>1</Days><StorageClass>GLACIER</StorageClass></Transition>`),
    'NotImplemented',
  ],
  ['all is well', rule(`<Filter/>${days}`), 'ok'],
  ['a transition at noon', rule(`<Filter/>${days}<Transition><Date>2030-01-01T12:00:00Z</Date></Transition>`), 'InvalidArgument'],
  [
    'two conditions without And',
    rule(`<Filter><Prefix>a</Prefix><ObjectSizeLessThan>3</ObjectSizeLessThan></Filter>${days}`),
    'ok',
  ],
];
for (const [what, rules, code] of cases) test(`lifecycle: ${what}`, () => assert.equal(codeOf(rules), code));

test('a lifecycle is written as it was read', () => {
  const rules = [
    rule(`<Prefix>old/</Prefix>${days}`),
    '<Rule><ID>and</ID><Filter><And><Prefix>a</Prefix><Tag><Key>k</Key><Value>v</Value></Tag><ObjectSizeGreaterThan>5</ObjectSizeGreaterThan></And></Filter><Status>Disabled</Status><NoncurrentVersionExpiration><NoncurrentDays>4</NoncurrentDays><NewerNoncurrentVersions>2</NewerNoncurrentVersions></NoncurrentVersionExpiration></Rule>',
    '<Rule><ID>date</ID><Filter/><Status>Enabled</Status><Expiration><Date>2030-01-01T00:00:00.000Z</Date></Expiration><AbortIncompleteMultipartUpload><DaysAfterInitiation>7</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule>',
  ].join('');
  const first = read(rules);
  const text = writeXml({ name: 'LifecycleConfiguration', children: lifecycleElements(first) });
  assert.deepEqual(readLifecycle(parseXml(text, 'LifecycleConfiguration')), first);
  assert.deepEqual(
    first.map(({ hasPlainPrefix = false }) => hasPlainPrefix),
    [true, false, false],
  );
});
