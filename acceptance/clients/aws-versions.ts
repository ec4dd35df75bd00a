import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, run, type S3ClientCase } from './client-case.ts';

interface Versions {
  readonly Versions?: readonly { readonly VersionId: string; readonly Key: string; readonly IsLatest: boolean }[];
  readonly DeleteMarkers?: readonly { readonly VersionId: string; readonly Key: string; readonly IsLatest: boolean }[];
}

export const awsVersions: S3ClientCase = {
  name: 'aws: versions, delete markers, tags and ranges',
  needs: 'aws',
  async run(context) {
    const { endpoint, versioned: bucket, tmp } = context;
    const api = async (verb: string, ...args: readonly string[]): Promise<Readonly<Record<string, unknown>>> => {
      const text = await run(context, 'aws', ['--endpoint-url', endpoint, 's3api', verb, '--bucket', bucket, ...args]);
      return text.trim() === '' ? {} : (JSON.parse(text) as Readonly<Record<string, unknown>>);
    };
    const key = 'kept/a name+%.txt';
    const file = join(tmp, 'version');
    const put = async (text: string): Promise<string> => {
      await writeFile(file, text);
      return String((await api('put-object', '--key', key, '--body', file))['VersionId']);
    };
    const get = async (...args: readonly string[]): Promise<string> => {
      await api('get-object', '--key', key, ...args, `${file}.back`);
      return await readFile(`${file}.back`, 'utf8');
    };
    const versions = async (): Promise<Versions> => (await api('list-object-versions', '--prefix', 'kept/')) as Versions;

    await api('put-bucket-versioning', '--versioning-configuration', 'Status=Enabled');
    const first = await put('first');
    const second = await put('second');
    expect(first !== second, 'two versions have one id');
    expect((await get()) === 'second', 'the newest version gave something else');
    expect((await get('--version-id', first, '--range', 'bytes=1-3')) === 'irs', 'a range of a version gave something else');
    await api('put-object-tagging', '--key', key, '--tagging', 'TagSet=[{Key=a,Value=b c}]');
    expect(JSON.stringify(await api('get-object-tagging', '--key', key)).includes('b c'), 'the tag is not there');
    const gone = await api('delete-object', '--key', key);
    expect(gone['DeleteMarker'] === true, 'no delete marker was made');
    const there = await versions();
    expect(there.Versions?.length === 2 && there.DeleteMarkers?.[0]?.IsLatest === true, JSON.stringify(there));
    await api('delete-object', '--key', key, '--version-id', String(gone['VersionId']));
    expect((await get()) === 'second', 'the newest version did not come back');
    const all = JSON.stringify({ Objects: [first, second].map((VersionId) => ({ Key: key, VersionId })) });
    await api('delete-objects', '--delete', all);
    const left = await versions();
    expect(!left.Versions?.length && !left.DeleteMarkers?.length, JSON.stringify(left));
  },
};
