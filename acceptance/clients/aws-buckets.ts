import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, run, type S3ClientCase } from './client-case.ts';

export const awsBuckets: S3ClientCase = {
  name: 'aws: make a bucket, use it, remove it with all that is in it',
  needs: 'aws',
  async run(context) {
    const { endpoint, tmp } = context;
    const aws = (...args: readonly string[]) => run(context, 'aws', ['--endpoint-url', endpoint, ...args]);
    const bucket = 's3://made-by-aws';
    await aws('s3', 'mb', bucket);
    expect((await aws('s3', 'ls')).includes('made-by-aws'), 'the new bucket is not listed');
    const file = join(tmp, 'of-bucket');
    await writeFile(file, 'content');
    await aws('s3', 'cp', file, `${bucket}/below/a.txt`, '--only-show-errors');
    await aws('s3', 'mv', `${bucket}/below/a.txt`, `${bucket}/b.txt`, '--only-show-errors');
    expect((await aws('s3', 'cp', `${bucket}/b.txt`, '-')) === 'content', 'the object has another content');
    const refused = await aws('s3', 'rb', bucket).then(
      () => false,
      (error: unknown) => String(error).includes('BucketNotEmpty'),
    );
    expect(refused, 'a bucket with objects was removed');
    await aws('s3', 'rb', '--force', bucket);
    expect(!(await aws('s3', 'ls')).includes('made-by-aws'), 'the bucket is listed still');
  },
};
