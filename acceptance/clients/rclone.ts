import { join } from 'node:path';
import { expect, makeTree, region, run, type S3ClientCase, specialNames } from './client-case.ts';

export const rclone: S3ClientCase = {
  name: 'rclone: copy, check, lsf, moveto, purge',
  needs: 'rclone',
  async run(context) {
    const { endpoint, accessKey, secretKey, bucket, tmp } = context;
    const env = {
      RCLONE_CONFIG: join(tmp, 'rclone.conf'),
      RCLONE_CONFIG_CELLAR_TYPE: 's3',
      RCLONE_CONFIG_CELLAR_PROVIDER: 'Other',
      RCLONE_CONFIG_CELLAR_ENDPOINT: endpoint,
      RCLONE_CONFIG_CELLAR_ACCESS_KEY_ID: accessKey,
      RCLONE_CONFIG_CELLAR_SECRET_ACCESS_KEY: secretKey,
      RCLONE_CONFIG_CELLAR_REGION: region,
    };
    const clone = (...args: readonly string[]) => run(context, 'rclone', args, env);
    const folder = await makeTree(context);
    const target = `cellar:${bucket}/rclone-case`;
    await clone('copy', '--s3-upload-cutoff', '5M', '--s3-chunk-size', '5M', folder, target);
    await clone('check', folder, target);
    await clone('check', '--download', folder, target);
    const listed = await clone('lsf', '-R', target);
    for (const name of specialNames) expect(listed.includes(name), `${name} is not listed`);
    await clone('moveto', `${target}/empty`, `${target}/moved`);
    await clone('copy', target, join(tmp, 'rclone-back'));
    await clone('purge', target);
    expect((await clone('lsf', '-R', `cellar:${bucket}/`)).includes('rclone-case') === false, 'objects are left');
  },
};
