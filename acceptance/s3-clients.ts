import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

export interface S3ClientContext {
  /** `http://host:port`. */
  readonly endpoint: string;
  readonly accessKey: string;
  readonly secretKey: string;
  /** A bucket that may be written to; the cases leave nothing in it. */
  readonly bucket: string;
  /** A folder for files of the case. */
  readonly tmp: string;
}

export interface S3ClientCase {
  readonly name: string;
  /** The program, or `python:<module>`, without which the case cannot run. */
  readonly needs: string;
  run(context: S3ClientContext): Promise<void>;
}

const execute = promisify(execFile);
const region = 'us-east-1';
const largeSizeBytes = 20 * 1024 * 1024;
/** Names that clients, shells, URLs and XML treat differently. */
const specialNames = [
  'with space.txt',
  'plus+and&amp.txt',
  'ümläut-日本.txt',
  "quote'and(paren).txt",
  'percent%41.txt',
  'hash#q=?.txt',
];

const sha = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Runs a program; its output. Errors: with what it wrote to standard error. */
async function run(
  context: S3ClientContext,
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const credentials = {
    AWS_ACCESS_KEY_ID: context.accessKey,
    AWS_SECRET_ACCESS_KEY: context.secretKey,
    AWS_DEFAULT_REGION: region,
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_CONFIG_FILE: await awsConfig(context.tmp),
    // Some clients refuse to start when this names a file, even for plain HTTP.
    AWS_CA_BUNDLE: undefined,
  };
  const { stdout } = await execute(program, args, {
    env: { ...process.env, ...credentials, ...env },
    maxBuffer: 64 * 1024 * 1024,
    timeout: 120_000,
    cwd: context.tmp,
  });
  return stdout;
}

/** Without it the older command line signs URLs in the way of version 2. */
async function awsConfig(tmp: string): Promise<string> {
  const path = join(tmp, 'aws-config');
  await writeFile(path, '[default]\ns3 =\n  signature_version = s3v4\n  addressing_style = path\n');
  return path;
}

function expect(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(message);
}

/** A folder with small files of all names, one below another folder, and a large one. */
async function makeTree(context: S3ClientContext): Promise<string> {
  const folder = await mkdtemp(join(context.tmp, 'tree-'));
  await mkdir(join(folder, 'below', 'deep'), { recursive: true });
  for (const name of specialNames) await writeFile(join(folder, name), name);
  await writeFile(join(folder, 'below', 'deep', 'small.txt'), 'small');
  await writeFile(join(folder, 'empty'), '');
  await writeFile(join(folder, 'large.bin'), randomBytes(largeSizeBytes));
  return folder;
}

async function expectSame(folder: string, other: string): Promise<void> {
  for (const name of [...specialNames, 'below/deep/small.txt', 'empty', 'large.bin']) {
    const [ours, theirs] = await Promise.all([readFile(join(folder, name)), readFile(join(other, name))]);
    expect(sha(ours) === sha(theirs), `${name} came back different`);
  }
}

const awsCli: S3ClientCase = {
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

const s3cmd: S3ClientCase = {
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

const rclone: S3ClientCase = {
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

const boto3Script = `
import boto3, hashlib, os, sys, urllib.request, urllib.error
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
endpoint, bucket, tmp = sys.argv[1:4]
names = sys.argv[4:]
s3 = boto3.client('s3', endpoint_url=endpoint, config=Config(s3={'addressing_style': 'path'}))
assert bucket in [b['Name'] for b in s3.list_buckets()['Buckets']]
for page in s3.get_paginator('list_objects_v2').paginate(Bucket=bucket, Prefix='boto-case/'):
    for o in page.get('Contents', []): s3.delete_object(Bucket=bucket, Key=o['Key'])
for name in names:
    s3.put_object(Bucket=bucket, Key='boto-case/' + name, Body=name.encode(), Metadata={'n': 'v'}, ContentType='text/x')
found = s3.get_object(Bucket=bucket, Key='boto-case/' + names[0])
assert found['Body'].read() == names[0].encode() and found['Metadata'] == {'n': 'v'} and found['ContentType'] == 'text/x'
keys = [o['Key'] for page in s3.get_paginator('list_objects_v2').paginate(Bucket=bucket, Prefix='boto-case/', PaginationConfig={'PageSize': 2}) for o in page['Contents']]
assert keys == sorted(['boto-case/' + n for n in names], key=lambda k: k.encode()), keys
for algorithm in ['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256']:
    try:
        s3.put_object(Bucket=bucket, Key='boto-case/sum', Body=b'sum', ChecksumAlgorithm=algorithm)
    except Exception as error:
        if 'botocore[crt]' not in str(error): raise
        continue
    head = s3.head_object(Bucket=bucket, Key='boto-case/sum', ChecksumMode='ENABLED')
    assert head['Checksum' + algorithm], head
data = os.urandom(20 * 1024 * 1024)
path = os.path.join(tmp, 'boto.bin')
open(path, 'wb').write(data)
s3.upload_file(path, bucket, 'boto-case/large', Config=TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20))
head = s3.head_object(Bucket=bucket, Key='boto-case/large')
assert head['ETag'].endswith('-4"'), head['ETag']
s3.download_file(bucket, 'boto-case/large', path + '.back')
assert open(path + '.back', 'rb').read() == data
s3.copy({'Bucket': bucket, 'Key': 'boto-case/large'}, bucket, 'boto-case/copy', Config=TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20))
assert s3.head_object(Bucket=bucket, Key='boto-case/copy')['ContentLength'] == len(data)
url = s3.generate_presigned_url('put_object', Params={'Bucket': bucket, 'Key': 'boto-case/signed'}, ExpiresIn=60)
urllib.request.urlopen(urllib.request.Request(url, data=b'signed', method='PUT'))
assert s3.get_object(Bucket=bucket, Key='boto-case/signed')['Body'].read() == b'signed'
try:
    s3.put_object(Bucket=bucket, Key='boto-case/signed', Body=b'x', IfNoneMatch='*')
    raise SystemExit('a conditional write went through')
except s3.exceptions.ClientError as error:
    assert error.response['Error']['Code'] == 'PreconditionFailed', error
keys = [o['Key'] for o in s3.list_objects(Bucket=bucket, Prefix='boto-case/')['Contents']]
gone = s3.delete_objects(Bucket=bucket, Delete={'Objects': [{'Key': k} for k in keys]})
assert len(gone['Deleted']) == len(keys), gone
assert s3.list_objects_v2(Bucket=bucket, Prefix='boto-case/')['KeyCount'] == 0
`;

const boto3: S3ClientCase = {
  name: 'boto3: objects, pages, checksums, multipart, presigned PUT, conditions, multi-delete',
  needs: 'python:boto3',
  async run(context) {
    const { endpoint, bucket, tmp } = context;
    await run(context, 'python3', ['-c', boto3Script, endpoint, bucket, tmp, ...specialNames]);
  },
};

const s3fs: S3ClientCase = {
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

/** What well-known S3 clients do in daily use; each case passes or throws. They know an address and credentials and nothing else. */
export const s3ClientCases: readonly S3ClientCase[] = [awsCli, s3cmd, rclone, boto3, s3fs];
