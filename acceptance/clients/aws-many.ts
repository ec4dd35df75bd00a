import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, makeMany, run, type S3ClientCase, sumsOf } from './client-case.ts';

export const awsMany: S3ClientCase = {
  name: 'aws: 500 files up, changed, and down again',
  needs: 'aws',
  async run(context) {
    const { endpoint, bucket, tmp } = context;
    const s3 = (...args: readonly string[]) => run(context, 'aws', ['--endpoint-url', endpoint, 's3', ...args]);
    const folder = await makeMany(context, 500);
    const target = `s3://${bucket}/aws-many`;
    await s3('sync', folder, target, '--only-show-errors');
    expect((await s3('sync', folder, target)).trim() === '', 'a second sync had something to do');
    const back = join(tmp, 'aws-many-back');
    await mkdir(back);
    await s3('sync', target, back, '--only-show-errors');
    expect((await sumsOf(back)) === (await sumsOf(folder)), 'the files came back different');
    await s3('rm', '--recursive', target, '--only-show-errors');
    expect((await s3('sync', target, back, '--delete')).split('delete:').length - 1 === 500, 'objects are left');
  },
};
