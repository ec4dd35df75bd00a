import { Index } from '#gen/cellar/data/v1/index_pb.ts';
import { Objects } from '#gen/cellar/data/v1/objects_pb.ts';
import { Streams } from '#gen/cellar/kernel/v1/streams_pb.ts';
import type { Client } from '#kernel/calls/client.ts';
import { notFound } from '#kernel/fault.ts';
import type { Registry } from '#kernel/services/registry.ts';
import type { Micro } from '#kernel/services/service.ts';
import { createRemoteStream } from '#kernel/streams/remote.ts';
import type { StreamSource } from '#kernel/streams/streams.ts';
import type { DatasourcePlan } from '../../plan.ts';

/** The services behind one datasource. */
export interface Datasource {
  readonly name: string;
  /** True when the first segment of a path in it is a bucket. */
  readonly hasBuckets: boolean;
  readonly index: Client<typeof Index>;
  readonly objects: Client<typeof Objects>;
  /** What changes in it, as the index tells. */
  readonly events: StreamSource;
}

/** All datasources of this installation, as the registry has them now. */
export interface Datasources {
  readonly names: readonly string[];
  /** Errors: `not_found` with reason `datasource_missing`. */
  get(name: string): Datasource;
  /** Calls `changed` whenever the names may have changed, until the returned function is called. */
  watch(changed: () => void): () => void;
}

const indexService = 'cellar.grpc.data.index.';

export function createDatasources({ registry, client }: Pick<Micro, 'registry' | 'client'>): Datasources {
  const made = new Map<string, Datasource & { readonly objectsService: string }>();
  return {
    get names() {
      return registry.all
        .filter(({ service }) => service.startsWith(indexService))
        .map(({ service }) => service.slice(indexService.length))
        .sort();
    },
    get(name) {
      const plan = planOf(registry, name);
      if (!plan) {
        throw notFound(`There is no datasource ${JSON.stringify(name)}`, {
          reason: 'datasource_missing',
          hint: 'The first part of a path names a datasource; list the root to see those there are.',
        });
      }
      const known = made.get(name);
      if (known?.objectsService === plan.objectsService) return known;
      const service = indexService + name;
      const datasource = {
        name,
        hasBuckets: plan.kind === 'buckets',
        objectsService: plan.objectsService,
        index: client(Index, { service }),
        objects: client(Objects, { service: plan.objectsService }),
        events: createRemoteStream({ client: client(Streams, { service }), name: 'nodes' }),
      };
      made.set(name, datasource);
      return datasource;
    },
    watch: (changed) =>
      registry.watch(({ service }) => {
        if (service.startsWith(indexService)) changed();
      }),
  };
}

function planOf(registry: Registry, name: string): DatasourcePlan | undefined {
  return registry.get(indexService + name)?.plan as DatasourcePlan | undefined;
}
