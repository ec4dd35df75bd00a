import { Datasources } from '#gen/cellar/data/v1/datasources_pb.ts';
import { implement } from '#kernel/calls/dispatcher.ts';
import type { Micro, Running } from '#kernel/services/service.ts';
import { createDatasourcesController } from './rpc/datasources-controller.ts';

export async function createServer(micro: Micro): Promise<Running> {
  return { bindings: [implement(Datasources, createDatasourcesController(micro))] };
}
