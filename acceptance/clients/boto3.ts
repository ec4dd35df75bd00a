import { run, type S3ClientCase, specialNames } from './client-case.ts';

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

export const boto3: S3ClientCase = {
  name: 'boto3: objects, pages, checksums, multipart, presigned PUT, conditions, multi-delete',
  needs: 'python:boto3',
  async run(context) {
    const { endpoint, bucket, tmp } = context;
    await run(context, 'python3', ['-c', boto3Script, endpoint, bucket, tmp, ...specialNames]);
  },
};
