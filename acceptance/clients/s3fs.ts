import { mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execute, region, run, type S3ClientCase } from './client-case.ts';

export const s3fs: S3ClientCase = {
  name: 's3fs: mount, write, read, rename, list, unlink',
  needs: 's3fs',
  async run(context) {
    const { endpoint, accessKey, secretKey, bucket, tmp } = context;
    const point = await mkdtemp(join(tmp, 'mount-'));
    const password = join(tmp, 's3fs-password');
    await writeFile(password, `${accessKey}:${secretKey}`, { mode: 0o600 });
    const options = `passwd_file=${password},url=${endpoint},use_path_request_style,endpoint=${region},sigv4`;
    await run(context, 's3fs', [bucket, point, '-o', options]);
    try {
      const script = `set -e
        mkdir -p case/sub
        printf hello > case/sub/a.txt
        test "$(cat case/sub/a.txt)" = hello
        mv case/sub/a.txt 'case/b c.txt'
        test "$(ls case)" = "$(printf 'b c.txt\\nsub')"
        head -c 12000000 /dev/urandom > case/big
        cp case/big case/big2
        cmp case/big case/big2
        rm -r case
        test ! -e case`;
      await execute('sh', ['-c', script], { cwd: point, timeout: 120_000 });
    } finally {
      await execute('fusermount', ['-u', point]).catch(() => execute('umount', ['-l', point]));
    }
  },
};
