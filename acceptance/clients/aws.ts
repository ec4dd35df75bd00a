import { join } from 'node:path';
import { expect, expectSame, makeTree, run, type S3ClientCase, specialNames } from './client-case.ts';

export const aws: S3ClientCase = {
  name: 'aws: sync up and down, ls, presign, rm',
  needs: 'aws',
  async run(context) {
    const { endpoint, bucket, tmp } = context;
    const aws = (...args: readonly string[]) => run(context, 'aws', ['--endpoint-url', endpoint, ...args]);
    const folder = await makeTree(context);
    const target = `s3://${bucket}/aws-case`;
    await aws('s3', 'sync', folder, target, '--only-show-errors');
    const listed = await aws('s3', 'ls', '--recursive', target);
    for (const name of [...specialNames, 'large.bin', 'empty'])
      expect(listed.includes(`aws-case/${name}`), `${name} is not listed`);
    const back = join(tmp, 'aws-back');
    await aws('s3', 'sync', target, back, '--only-show-errors');
    await expectSame(folder, back);
    expect((await aws('s3', 'sync', folder, target)).trim() === '', 'a second sync had something to do');
    await aws('s3', 'cp', `${target}/large.bin`, `${target}/copied.bin`, '--only-show-errors');
    const url = (await aws('s3', 'presign', `${target}/with space.txt`)).trim();
    expect((await (await fetch(url)).text()) === 'with space.txt', 'the presigned URL gave something else');
    const spoiled = await fetch(url.replace('with%20space', 'empty'));
    expect(spoiled.status === 403, `a spoiled presigned URL gave ${spoiled.status}`);
    await aws('s3', 'rm', '--recursive', target, '--only-show-errors');
    const left = await aws(
      's3api',
      'list-objects-v2',
      '--bucket',
      bucket,
      '--prefix',
      'aws-case',
      '--query',
      'length(Contents || `[]`)',
    );
    expect(left.trim() === '0', `${left.trim()} objects are left`);
  },
};
