import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serviceCaller } from '#kernel/calls/caller.ts';
import { ProcessMetrics } from '#kernel/metrics.ts';
import type { Micro } from '#kernel/services/service.ts';
import { recordS3 } from './s3-records.ts';

const caller = serviceCaller('ann');
const base = { caller, bucket: 'docs', key: 'a.txt', status: 200, code: 'ok', durationMs: 2 };

test('writes are noted with who and what, reads are only counted', async () => {
  const noted: Parameters<Micro['audit']>[0][] = [];
  const metrics = new ProcessMetrics();
  const record = recordS3({ metrics, audit: (entry) => noted.push(entry) });
  record({ ...base, operation: 'GetObject' });
  record({ ...base, operation: 'PutObject' });
  record({ ...base, operation: 'DeleteObject', code: 'AccessDenied', status: 403 });
  record({ ...base, operation: undefined, caller: undefined, code: 'InvalidAccessKeyId', status: 403 });
  assert.deepEqual(
    noted.map(({ method, fields, code }) => [method, fields, code]),
    [
      ['s3.PutObject', { bucket: 'docs', key: 'a.txt' }, 'ok'],
      ['s3.DeleteObject', { bucket: 'docs', key: 'a.txt' }, 'AccessDenied'],
    ],
  );
  const text = await metrics.render();
  for (const labels of [
    'operation="GetObject",code="ok"',
    'operation="DeleteObject",code="AccessDenied"',
    'operation="none",code="InvalidAccessKeyId"',
  ]) {
    assert.match(text, new RegExp(`cellar_s3_request_seconds_count\\{${labels}\\} 1`));
  }
});
