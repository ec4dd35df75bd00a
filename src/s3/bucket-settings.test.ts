import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startTestS3 } from './testing/server.ts';

async function started(t: Parameters<typeof startTestS3>[0]) {
  const { client } = await startTestS3(t);
  return {
    client,
    /** Asks for a part of the bucket or, with `key`, of an object. */
    ask: (method: string, word: string, body?: string, key = '') =>
      client.send(method, key === '' ? '/photos' : `/photos/${key}`, {
        query: { [word]: '' },
        ...(body === undefined ? {} : { body }),
      }),
  };
}

const tagging = (...tags: readonly (readonly [string, string])[]): string =>
  `<Tagging><TagSet>${tags.map(([name, value]) => `<Tag><Key>${name}</Key><Value>${value}</Value></Tag>`).join('')}</TagSet></Tagging>`;
const many = (count: number) => Array.from({ length: count }, (_, at) => [`k${at}`, 'v'] as const);

test('What_is_not_set_is_said_as_S3_says_it', async (t) => {
  const { ask } = await started(t);
  const codes: readonly (readonly [word: string, code: string | undefined])[] = [
    ['tagging', 'NoSuchTagSet'],
    ['cors', 'NoSuchCORSConfiguration'],
    ['lifecycle', 'NoSuchLifecycleConfiguration'],
    ['encryption', 'ServerSideEncryptionConfigurationNotFoundError'],
    ['object-lock', 'ObjectLockConfigurationNotFoundError'],
    ['website', 'NoSuchWebsiteConfiguration'],
    ['replication', 'ReplicationConfigurationNotFoundError'],
    ['logging', undefined],
    ['accelerate', undefined],
    ['notification', undefined],
    ['versioning', undefined],
  ];
  for (const [word, code] of codes) {
    const { status, code: found } = await ask('GET', word);
    assert.deepEqual([status, found], [code === undefined ? 200 : 404, code], word);
  }
  assert.match((await ask('GET', 'requestPayment')).text, /<Payer>BucketOwner<\/Payer>/);
  assert.equal((await ask('PUT', 'logging', '<BucketLoggingStatus/>')).code, 'NotImplemented');
});

test('Tags_of_a_bucket', async (t) => {
  const { ask } = await started(t);
  assert.equal((await ask('PUT', 'tagging', tagging(['b', '2'], ['a', '1']))).status, 204);
  assert.match((await ask('GET', 'tagging')).text, /<Key>a<\/Key><Value>1<.*<Key>b<\/Key><Value>2</);
  assert.equal((await ask('PUT', 'tagging', tagging(...many(50)))).status, 204);
  assert.equal((await ask('PUT', 'tagging', tagging(...many(51)))).code, 'InvalidTag');
  assert.equal((await ask('PUT', 'tagging', '<Tagging/>')).code, 'MalformedXML');
  assert.equal((await ask('DELETE', 'tagging')).status, 204);
  assert.equal((await ask('GET', 'tagging')).code, 'NoSuchTagSet');
});

test('Tags_of_an_object', async (t) => {
  const { client, ask } = await started(t);
  await client.send('PUT', '/photos/a', { body: 'x', headers: { 'x-amz-tagging': 'kind=a%20b&empty' } });
  assert.equal((await client.send('HEAD', '/photos/a')).headers['x-amz-tagging-count'], '2');
  assert.match((await ask('GET', 'tagging', undefined, 'a')).text, /<Key>empty<\/Key><Value><\/Value>.*<Value>a b</);
  const wrong: readonly (readonly [string, string])[][] = [
    [...many(11)],
    [['a'.repeat(129), '']],
    [['a', 'b'.repeat(257)]],
    [
      ['a', '1'],
      ['a', '2'],
    ],
    [['aws:a', '']],
  ];
  for (const tags of wrong) assert.equal((await ask('PUT', 'tagging', tagging(...tags), 'a')).code, 'InvalidTag');
  const copy = { 'x-amz-copy-source': '/photos/a' };
  await client.send('PUT', '/photos/same', { body: '', headers: copy });
  await client.send('PUT', '/photos/other', {
    body: '',
    headers: { ...copy, 'x-amz-tagging-directive': 'REPLACE', 'x-amz-tagging': 'new=1' },
  });
  assert.match((await ask('GET', 'tagging', undefined, 'same')).text, /<Key>kind</);
  assert.match(
    (await ask('GET', 'tagging', undefined, 'other')).text,
    /<TagSet><Tag><Key>new<\/Key><Value>1<\/Value><\/Tag><\/TagSet>/,
  );
  assert.equal((await ask('DELETE', 'tagging', undefined, 'a')).status, 204);
  assert.match((await ask('GET', 'tagging', undefined, 'a')).text, /<TagSet><\/TagSet>/);
  assert.equal((await ask('GET', 'tagging', undefined, 'none')).code, 'NoSuchKey');
});

test('Encryption_of_a_bucket', async (t) => {
  const { ask } = await started(t);
  const put = (preset: string) =>
    ask(
      'PUT',
      'encryption',
      `<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault>${preset}</ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>`,
    );
  assert.equal((await put('<SSEAlgorithm>DES</SSEAlgorithm>')).code, 'MalformedXML');
  assert.equal((await put('<SSEAlgorithm>AES256</SSEAlgorithm><KMSMasterKeyID>k</KMSMasterKeyID>')).code, 'InvalidArgument');
  assert.equal((await put('<SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>k</KMSMasterKeyID>')).status, 200);
  assert.match((await ask('GET', 'encryption')).text, /<SSEAlgorithm>aws:kms<\/SSEAlgorithm><KMSMasterKeyID>k</);
  assert.equal((await ask('DELETE', 'encryption')).status, 204);
});

test('Notifications_of_a_bucket', async (t) => {
  const { ask } = await started(t);
  const put = (content: string) =>
    ask('PUT', 'notification', `<NotificationConfiguration>${content}</NotificationConfiguration>`);
  const topic = (address: string, event = 's3:ObjectCreated:*', more = '') =>
    `<TopicConfiguration><Id>one</Id><Topic>${address}</Topic><Event>${event}</Event>${more}</TopicConfiguration>`;
  const filter = '<Filter><S3Key><FilterRule><Name>suffix</Name><Value>.jpg</Value></FilterRule></S3Key></Filter>';
  assert.equal((await put(topic('https://hook.example/x', 's3:ObjectCreated:*', filter))).status, 200);
  const { text } = await ask('GET', 'notification');
  assert.match(text, /<Topic>https:\/\/hook.example\/x<\/Topic><Event>s3:ObjectCreated:\*<.*<Name>Suffix<\/Name><Value>.jpg</);
  for (const [content, code] of [
    [topic('ftp://hook.example'), 'InvalidArgument'],
    [topic('https://hook.example', 's3:Everything'), 'InvalidArgument'],
    [topic('https://a.example').repeat(2), 'InvalidArgument'],
    ['<QueueConfiguration><Queue>q</Queue></QueueConfiguration>', 'NotImplemented'],
  ] as const)
    assert.equal((await put(content)).code, code, content);
  await put('');
  assert.doesNotMatch((await ask('GET', 'notification')).text, /Topic/);
});

test('GetObjectAttributes_and_parts', async (t) => {
  const { client } = await startTestS3(t, { partSizeBytesMin: 3 });
  const uploadId = /<UploadId>(\w+)</.exec((await client.send('POST', '/photos/a', { query: { uploads: '' } })).text)?.[1] ?? '';
  const etags: string[] = [];
  for (const [at, body] of ['first', 'second'].entries()) {
    const { headers } = await client.send('PUT', '/photos/a', { query: { uploadId, partNumber: String(at + 1) }, body });
    etags.push(String(headers.etag));
  }
  const parts = etags.map((etag, at) => `<Part><PartNumber>${at + 1}</PartNumber><ETag>${etag}</ETag></Part>`).join('');
  const body = `<CompleteMultipartUpload>${parts}</CompleteMultipartUpload>`;
  assert.equal((await client.send('POST', '/photos/a', { query: { uploadId }, body })).status, 200);
  const part = await client.send('GET', '/photos/a', { query: { partNumber: '2' } });
  assert.deepEqual(
    [part.status, part.text, part.headers['x-amz-mp-parts-count'], part.headers['content-range']],
    [206, 'second', '2', 'bytes 5-10/11'],
  );
  assert.equal((await client.send('GET', '/photos/a', { query: { partNumber: '3' } })).code, 'InvalidPart');
  assert.equal((await client.send('GET', '/photos/a', { query: { partNumber: '0' } })).code, 'InvalidArgument');
  const both = { query: { partNumber: '1' }, headers: { range: 'bytes=0-1' } };
  assert.equal((await client.send('GET', '/photos/a', both)).code, 'InvalidRequest');
  const attributes = (wanted: string, more = {}) =>
    client.send('GET', '/photos/a', { query: { attributes: '' }, headers: { 'x-amz-object-attributes': wanted, ...more } });
  const all = await attributes('ETag,ObjectParts,StorageClass,ObjectSize', { 'x-amz-max-parts': '1' });
  assert.match(all.text, /<ETag>[0-9a-f]{32}-2<.*<PartsCount>2<.*<IsTruncated>true<.*<Size>5<.*<ObjectSize>11</);
  assert.doesNotMatch((await attributes('ETag')).text, /ObjectSize/);
  assert.equal((await attributes('Colour')).code, 'InvalidArgument');
});

test('Storage_classes_and_metadata_beyond_ASCII_come_back', async (t) => {
  const { client } = await startTestS3(t);
  const sign = client.sign('PUT', '/photos/a', {
    body: 'x',
    headers: { 'x-amz-storage-class': 'STANDARD_IA', 'x-amz-meta-a': 'é', 'x-amz-meta-b': '猫' },
  });
  // As bytes of UTF-8, which is what clients send.
  const raw = Object.fromEntries(Object.entries(sign).map(([name, value]) => [name, Buffer.from(value).toString('latin1')]));
  assert.equal((await client.sendRaw('PUT', '/photos/a', { ...raw, 'content-length': '1' }, Buffer.from('x'))).status, 200);
  const { headers } = await client.send('HEAD', '/photos/a');
  assert.deepEqual(
    ['x-amz-storage-class', 'x-amz-meta-a', 'x-amz-meta-b'].map((name) => headers[name]),
    ['STANDARD_IA', 'é', `=?UTF-8?B?${Buffer.from('猫').toString('base64')}?=`],
  );
  assert.match((await client.send('GET', '/photos')).text, /<StorageClass>STANDARD_IA</);
});
