import type { Catalogue } from '#platform/catalogue.ts';

/** Every service of Cellar beside the platform's own two. A new service is added here. */
export const catalogue: Catalogue = {
  services: {
    'cellar.grpc.users': async () => (await import('#identity/users/main.ts')).users,
    'cellar.grpc.policies': async () => (await import('#identity/policies/main.ts')).policyStore,
    'cellar.rest.policies': async () => (await import('#identity/policies-rest/main.ts')).policies,
    'cellar.grpc.datasources': async () => (await import('#data/datasources/main.ts')).datasources,
    'cellar.grpc.data.objects': async () => (await import('#data/objects/main.ts')).objects,
    'cellar.grpc.data.index': async () => (await import('#data/index/main.ts')).index,
    'cellar.grpc.data.sync': async () => (await import('#data/sync/main.ts')).sync,
    'cellar.rest.tree': async () => (await import('#data/tree/main.ts')).tree,
    'cellar.grpc.fleet.agent': async () => (await import('#fleet/agents/main.ts')).fleetAgent,
    'cellar.grpc.fleet.control': async () => (await import('#fleet/control/main.ts')).fleetControl,
    'cellar.grpc.fleet.relay': async () => (await import('#fleet/relay/main.ts')).fleetRelay,
    'cellar.gateway.web': async () => (await import('#gateways/web/main.ts')).webGateway,
  },
  plan: async (datasources, known, own) => (await import('#data/plan.ts')).planData(datasources, known, own),
};
