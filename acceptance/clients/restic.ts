import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, makeMany, run, type S3ClientCase, sumsOf } from './client-case.ts';

export const restic: S3ClientCase = {
  name: 'restic: back up twice, check all data, restore, forget and prune',
  needs: 'restic',
  async run(context) {
    const { endpoint, bucket, tmp } = context;
    const env = {
      RESTIC_REPOSITORY: `s3:${endpoint}/${bucket}/restic-case`,
      RESTIC_PASSWORD: 'a password',
      RESTIC_CACHE_DIR: join(tmp, 'restic-cache'),
    };
    const backup = (...args: readonly string[]) => run(context, 'restic', ['-q', ...args], env);
    const folder = await makeMany(context, 100);
    await writeFile(join(folder, 'large'), Buffer.alloc(12 * 1024 * 1024, 'not so random'));
    await backup('init');
    await backup('backup', folder);
    await writeFile(join(folder, 'changed'), 'changed');
    await rm(join(folder, '1'), { recursive: true });
    await backup('backup', folder);
    await backup('check', '--read-data');
    const back = join(tmp, 'restic-back');
    await backup('restore', 'latest', '--target', back);
    expect((await sumsOf(join(back, folder))) === (await sumsOf(folder)), 'the files came back different');
    await backup('forget', '--keep-last', '1', '--prune');
    await backup('check', '--read-data');
    const snapshots = JSON.parse(await run(context, 'restic', ['snapshots', '--json'], env)) as unknown[];
    expect(snapshots.length === 1, `${snapshots.length} snapshots are left`);
  },
};
