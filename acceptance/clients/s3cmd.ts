import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, expectSame, makeTree, region, run, type S3ClientCase } from './client-case.ts';

export const s3cmd: S3ClientCase = {
  name: 's3cmd: put, sync, ls, info, get, mv, del',
  needs: 's3cmd',
  async run(context) {
    const { endpoint, accessKey, secretKey, bucket, tmp } = context;
    const { host } = new URL(endpoint);
    const config = join(tmp, 's3cfg');
    const lines = {
      access_key: accessKey,
      secret_key: secretKey,
      host_base: host,
      host_bucket: host,
      use_https: 'False',
      bucket_location: region,
    };
    await writeFile(config, ['[default]', ...Object.entries(lines).map(([name, value]) => `${name} = ${value}`), ''].join('\n'));
    const s3 = (...args: readonly string[]) => run(context, 's3cmd', ['-c', config, '--no-progress', ...args]);
    const folder = await makeTree(context);
    const target = `s3://${bucket}/s3cmd-case/`;
    expect((await s3('ls')).includes(`s3://${bucket}`), 'the bucket is not listed');
    await s3('sync', '--multipart-chunk-size-mb=5', `${folder}/`, target);
    expect((await s3('ls', '--recursive', target)).includes('ümläut-日本.txt'), 'a name is not listed');
    const back = join(tmp, 's3cmd-back');
    await mkdir(back);
    await s3('sync', target, `${back}/`);
    await expectSame(folder, back);
    await s3('info', `${target}empty`);
    await s3('mv', `${target}empty`, `${target}moved`);
    await s3('del', '--recursive', '--force', target);
    expect((await s3('ls', '--recursive', target)).trim() === '', 'objects are left');
  },
};
