import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Conditions, decideRead, decideWrite } from './http-conditions.ts';

const subject = { etag: 'abc', mtimeMs: 10_500 };

const reads: readonly (readonly [Conditions, ReturnType<typeof decideRead>])[] = [
  [{}, 'proceed'],
  [{ ifMatch: '"abc"' }, 'proceed'],
  [{ ifMatch: 'abc' }, 'proceed'],
  [{ ifMatch: '*' }, 'proceed'],
  [{ ifMatch: '"x", "abc"' }, 'proceed'],
  [{ ifMatch: '"x"' }, 'failed'],
  [{ ifNoneMatch: '"abc"' }, 'not_modified'],
  [{ ifNoneMatch: 'W/"abc"' }, 'not_modified'],
  [{ ifNoneMatch: '"x"' }, 'proceed'],
  [{ ifModifiedSinceMs: 9_000 }, 'proceed'],
  [{ ifModifiedSinceMs: 10_000 }, 'not_modified'],
  [{ ifUnmodifiedSinceMs: 10_000 }, 'proceed'],
  [{ ifUnmodifiedSinceMs: 9_000 }, 'failed'],
  [{ ifMatch: '"abc"', ifUnmodifiedSinceMs: 9_000 }, 'proceed'],
  [{ ifNoneMatch: '"x"', ifModifiedSinceMs: 11_000 }, 'proceed'],
  [{ ifMatch: '"x"', ifNoneMatch: '"abc"' }, 'failed'],
];
for (const [conditions, expected] of reads) {
  test(`read with ${JSON.stringify(conditions)}`, () => assert.equal(decideRead(conditions, subject), expected));
}

const writes: readonly (readonly [Conditions, typeof subject | undefined, ReturnType<typeof decideWrite>])[] = [
  [{}, subject, 'proceed'],
  [{ ifNoneMatch: '*' }, subject, 'failed'],
  [{ ifNoneMatch: '*' }, undefined, 'proceed'],
  [{ ifMatch: '"abc"' }, subject, 'proceed'],
  [{ ifMatch: '"x"' }, subject, 'failed'],
  [{ ifMatch: '"abc"' }, undefined, 'missing'],
  [{ ifMatch: '*' }, undefined, 'missing'],
];
for (const [conditions, current, expected] of writes) {
  test(`write with ${JSON.stringify(conditions)} over ${current ? 'something' : 'nothing'}`, () => {
    assert.equal(decideWrite(conditions, current), expected);
  });
}
