import { Datasources } from '#gen/cellar/data/v1/datasources_pb.ts';
import { implement } from '#kernel/calls/dispatcher.ts';
import { createGuard, type Guard } from '#kernel/guard/guard.ts';
import type { Micro, Running } from '#kernel/services/service.ts';
import { createDatasourcesController } from './rpc/datasources-controller.ts';

export interface DatasourcesServerParts {
  readonly guard?: Pick<Guard, 'assertAllowed'>;
}

export async function createServer(micro: Micro, parts: DatasourcesServerParts = {}): Promise<Running> {
  return { bindings: [implement(Datasources, createDatasourcesController(micro, parts.guard ?? createGuard(micro)))] };
}
