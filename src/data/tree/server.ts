import { Tree } from '#gen/cellar/data/v1/tree_pb.ts';
import { implement } from '#kernel/calls/dispatcher.ts';
import { createGuard, type Guard } from '#kernel/guard/guard.ts';
import type { Micro, Running } from '#kernel/services/service.ts';
import { createDatasources } from './logic/datasources.ts';
import { createTreeController } from './rpc/tree-controller.ts';

export interface TreeServerParts {
  readonly guard?: Pick<Guard, 'assertAllowed'>;
}

export async function createServer(micro: Micro, parts: TreeServerParts = {}): Promise<Running> {
  const controller = createTreeController({
    datasources: createDatasources(micro),
    guard: parts.guard ?? createGuard(micro),
    log: micro.log,
    stopping: micro.signal,
  });
  return { bindings: [implement(Tree, controller)] };
}
