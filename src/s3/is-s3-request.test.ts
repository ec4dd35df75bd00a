import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isS3Request } from './is-s3-request.ts';

const cases: readonly (readonly [headers: Record<string, string>, url: string, expected: boolean])[] = [
  [{ authorization: 'AWS4-HMAC-SHA256 Credential=x' }, '/', true],
  [{ authorization: 'AWS AKTEST:x' }, '/', true],
  [{ authorization: 'Bearer AWS' }, '/', false],
  [{}, '/b/k?X-Amz-Algorithm=AWS4-HMAC-SHA256', true],
  [{}, '/b/k?a=b&X-Amz-Signature=x', true],
  [{}, '/b/k?q=X-Amz-Signature', false],
  [{ 'x-amz-date': 'x' }, '/', true],
  [{ host: 'x' }, '/api/v1/users', false],
];
for (const [headers, url, expected] of cases) {
  test(`${JSON.stringify(headers)} ${url}`, () => assert.equal(isS3Request({ headers, url }), expected));
}
