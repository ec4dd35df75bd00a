import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Fault } from '#kernel/fault.ts';
import { startBackend, textBody } from './testing/start-backend.ts';

test('a part that is sent again after a refused completion is kept over a restart', async (t) => {
  const { backend, again } = await startBackend(t, { partSizeBytesMin: 1 });
  const uploadId = await backend.createUpload({ bucket: 'bucket', key: 'a' }, {});
  const upload = { bucket: 'bucket', key: 'a', uploadId };
  // An empty part is a file of its own, which the completion names.
  const { etag } = await backend.putPart(upload, 1, textBody(''));
  const condition = (): never => {
    throw new Fault('failed_precondition', 'no', { reason: 'no' });
  };
  await assert.rejects(backend.completeUpload(upload, [{ partNumber: 1, etag, checksums: {} }], { condition }), { reason: 'no' });
  await backend.putPart(upload, 1, textBody('once more'));
  const parts = await (await again()).listParts(upload);
  assert.deepEqual(
    parts.map(({ sizeBytes }) => sizeBytes),
    [9],
  );
});
