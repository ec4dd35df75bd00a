import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startTestPlatform } from '../testing/platform.ts';
import { ServiceState } from './registry.ts';
import { defineService, type Micro } from './service.ts';

test('an instance can take over a new plan while it runs', async () => {
  const seen: unknown[] = [];
  let micro: Micro | undefined;
  const definition = defineService({
    name: 'cellar.grpc.planned',
    description: 'Follows its plan.',
    contracts: [],
    settings: {},
    needs: [],
    placement: 'main',
    hasInstances: true,
    takesPlan: () => true,
    start: async (own) => {
      micro = own;
      own.watchPlan((plan) => seen.push(plan));
      return { bindings: [] };
    },
  });
  await using platform = await startTestPlatform([{ definition, instance: 'one', plan: 1 }]);
  assert.equal(micro?.plan, 1);
  platform.started[0]?.replan(2);
  assert.deepEqual([micro?.plan, seen], [2, [2]]);
  const registered = platform.surroundings.registry.get('cellar.grpc.planned.one');
  assert.deepEqual([registered?.plan, registered?.state], [2, ServiceState.Ready]);
});
