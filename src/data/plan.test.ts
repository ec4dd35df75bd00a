import assert from 'node:assert/strict';
import { test } from 'node:test';
import { planData } from './plan.ts';

const names = (plan: ReturnType<typeof planData>): string[] =>
  plan.instances.map(({ service, instance }) => `${service}.${instance}`).sort();

test('siblings share one objects service', () => {
  const plan = planData(
    { docs: { folder: '/srv/docs' }, photos: { folder: '/srv/photos' }, music: { folder: '/mnt/music' } },
    {},
  );
  assert.deepEqual(names(plan), [
    'cellar.grpc.data.index.docs',
    'cellar.grpc.data.index.music',
    'cellar.grpc.data.index.photos',
    'cellar.grpc.data.objects.local1',
    'cellar.grpc.data.objects.local2',
    'cellar.grpc.data.sync.docs',
    'cellar.grpc.data.sync.music',
    'cellar.grpc.data.sync.photos',
  ]);
  assert.deepEqual(plan.parents, { local1: '/srv', local2: '/mnt' });
  assert.deepEqual(plan.instances[0]?.plan, {
    parent: '/srv',
    buckets: [
      { bucket: 'docs', folder: 'docs' },
      { bucket: 'photos', folder: 'photos' },
    ],
  });
});

test('an objects service keeps its name when an earlier datasource goes', () => {
  const first = planData({ one: { folder: '/one/a' }, two: { folder: '/two/b' } }, {});
  const second = planData({ two: { folder: '/two/b' } }, first.parents);
  assert.ok(names(second).includes('cellar.grpc.data.objects.local2'));
});

test('nested folders and roots are refused with the reason, the others served', () => {
  const plan = planData(
    { all: { folder: '/srv' }, part: { folder: '/srv/part' }, root: { folder: '/' }, other: { folder: '/mnt/x' } },
    {},
  );
  assert.match(plan.problems['part'] ?? '', /lie inside each other/);
  assert.match(plan.problems['root'] ?? '', /no parent folder/);
  assert.ok(names(plan).includes('cellar.grpc.data.index.other'));
});

test('a folder of buckets has one objects service, one index and one sync for all', () => {
  const plan = planData({ docs: { folder: '/srv/docs' }, s3: { folder: '/srv/s3', kind: 'buckets' } }, {});
  assert.deepEqual(plan.problems, {});
  assert.deepEqual(names(plan), [
    'cellar.grpc.data.index.docs',
    'cellar.grpc.data.index.s3',
    'cellar.grpc.data.objects.local1',
    'cellar.grpc.data.objects.local2',
    'cellar.grpc.data.sync.docs',
    'cellar.grpc.data.sync.s3',
  ]);
  assert.deepEqual(plan.instances[1]?.plan, { parent: '/srv/s3', bucketsOf: 's3', buckets: [] });
  assert.deepEqual(plan.instances.at(-1)?.plan, {
    datasource: 's3',
    kind: 'buckets',
    folder: '/srv/s3',
    objectsService: 'cellar.grpc.data.objects.local2',
  });
});

test('a second folder of buckets is refused, and so is a datasource inside one', () => {
  const plan = planData(
    {
      s3: { folder: '/srv/s3', kind: 'buckets' },
      more: { folder: '/srv/more', kind: 'buckets' },
      inside: { folder: '/srv/s3/a' },
    },
    {},
  );
  assert.match(plan.problems['more'] ?? '', /made in datasource "s3" already/);
  assert.match(plan.problems['inside'] ?? '', /lie inside each other/);
});

test('a name too short for a bucket is only that of a folder of buckets', () => {
  const plan = planData({ s3: { folder: '/srv/s3', kind: 'buckets' }, dx: { folder: '/srv/dx' } }, {});
  assert.deepEqual(Object.keys(plan.problems), ['dx']);
});

test('buckets of another server share one objects service per access key', () => {
  const remote = { endpoint: 'https://s3.example.org', bucket: 'b', prefix: '', region: 'us-east-1', accessKey: 'K1' };
  const plan = planData(
    {
      aaa: { kind: 'remote', remote: { ...remote, prefix: 'a/' } },
      bbb: { kind: 'remote', remote: { ...remote, prefix: 'b/' } },
      ccc: { kind: 'remote', remote: { ...remote, bucket: 'c', accessKey: 'K2' } },
      inside: { kind: 'remote', remote: { ...remote, prefix: 'a/x/' } },
      nothing: { kind: 'remote' },
    },
    {},
  );
  assert.deepEqual(Object.keys(plan.problems), ['inside', 'nothing']);
  assert.deepEqual(plan.parents, { gateway1: 'https://s3.example.org K1', gateway2: 'https://s3.example.org K2' });
  assert.deepEqual(plan.instances[0]?.plan, {
    parent: '',
    buckets: [
      { bucket: 'aaa', folder: '', remote: { ...remote, prefix: 'a/' } },
      { bucket: 'bbb', folder: '', remote: { ...remote, prefix: 'b/' } },
    ],
  });
  const sync = plan.instances.find(({ service, instance }) => service === 'cellar.grpc.data.sync' && instance === 'bbb');
  assert.deepEqual(sync?.plan, {
    ...{ datasource: 'bbb', kind: 'remote', folder: '', objectsService: 'cellar.grpc.data.objects.gateway1' },
    remote: { bucket: 'b', prefix: 'b/' },
  });
});
