import { run, type S3ClientCase } from './client-case.ts';

const script = `
import boto3, sys
from botocore.config import Config
endpoint, bucket = sys.argv[1:3]
s3 = boto3.client('s3', endpoint_url=endpoint, config=Config(s3={'addressing_style': 'path'}))
# What files cannot be named, or not beside each other, and what XML and URLs cannot hold as it is.
keys = ['odd/a', 'odd/a/b', 'odd/a/b/c', 'odd/dir/', 'odd//double', 'odd/./dot', 'odd/../up', '../odd', '/odd', 'odd/.cellar/x', '.cellar/tmp/x',
  'odd/tab\\tline\\nend\\r', 'odd/\\x01\\x1f\\x7f', 'odd/ ', 'odd/ leading and trailing ', 'odd/\\\\back', 'odd/a%2Fb', 'odd/a+b', 'odd/&<>"\\'', 'odd/*?[x]~',
  'odd/\\ufffd\\uffff', 'odd/\\U0001f98a', 'odd/e\\u0301', 'odd/\\xe9', 'odd/' + 'n' * 1020, 'odd/' + 'p' * 300 + '/' + 'q' * 300]
for key in keys:
    s3.put_object(Bucket=bucket, Key=key, Body=key.encode(), ContentType='text/x', Metadata={'n': 'v'})
for key in keys:
    got = s3.get_object(Bucket=bucket, Key=key)
    assert got['Body'].read() == key.encode() and got['Metadata'] == {'n': 'v'}, key
    part = s3.get_object(Bucket=bucket, Key=key, Range='bytes=1-2')
    assert part['Body'].read() == key.encode()[1:3], key
def listed(**more):
    return [o['Key'] for page in s3.get_paginator('list_objects_v2').paginate(Bucket=bucket, PaginationConfig={'PageSize': 3}, **more) for o in page.get('Contents', [])]
mine = [k for k in listed() if k in keys]
assert mine == sorted(keys, key=lambda k: k.encode()), mine
found = s3.list_objects_v2(Bucket=bucket, Prefix='odd/', Delimiter='/')
assert {p['Prefix'] for p in found['CommonPrefixes']} >= {'odd/a/', 'odd/dir/', 'odd//', 'odd/../', 'odd/./'}, found['CommonPrefixes']
assert 'odd/a' in [o['Key'] for o in found['Contents']]
for key in keys[:6]:
    s3.copy_object(Bucket=bucket, Key='odd/copy of ' + key, CopySource={'Bucket': bucket, 'Key': key})
    assert s3.get_object(Bucket=bucket, Key='odd/copy of ' + key)['Body'].read() == key.encode(), key
    s3.delete_object(Bucket=bucket, Key='odd/copy of ' + key)
s3.delete_object(Bucket=bucket, Key='odd/a')
assert s3.get_object(Bucket=bucket, Key='odd/a/b')['Body'].read() == b'odd/a/b'
gone = s3.delete_objects(Bucket=bucket, Delete={'Objects': [{'Key': k} for k in keys if k.isprintable()]})
assert 'Errors' not in gone, gone
for key in keys: s3.delete_object(Bucket=bucket, Key=key)
assert [k for k in listed() if k in keys] == []
`;

export const boto3Keys: S3ClientCase = {
  name: 'boto3: keys that cannot be names of files',
  needs: 'python:boto3',
  async run(context) {
    await run(context, 'python3', ['-c', script, context.endpoint, context.bucket]);
  },
};
