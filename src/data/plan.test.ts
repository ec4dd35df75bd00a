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
  const first = planData({ a: { folder: '/one/a' }, b: { folder: '/two/b' } }, {});
  const second = planData({ b: { folder: '/two/b' } }, first.parents);
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
