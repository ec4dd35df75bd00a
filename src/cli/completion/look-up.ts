import { readdir } from 'node:fs/promises';
import type { Node } from '#gen/cellar/data/v1/node_pb.ts';
import type { CliContext, Completion } from '../command.ts';
import { formatBytes } from '../output/format.ts';
import { remotePrefix } from '../remote-path.ts';
import type { Candidate } from './wanted.ts';

/** Most entries of a folder that are looked at. */
const entriesMax = 1000;

/** What exists and could be meant by a word that begins with `word`. `signal` ends the wait for a slow server. */
export async function lookUp(
  context: CliContext,
  completion: Completion,
  word: string,
  signal: AbortSignal,
): Promise<readonly Candidate[]> {
  const client = async <D extends Parameters<Awaited<ReturnType<CliContext['connect']>>['client']>[0]>(desc: D) =>
    (await context.connect()).client(desc);
  switch (completion) {
    case 'none':
      return [];
    case 'local-path':
      return await localPaths(word);
    case 'path':
      if (word.startsWith(remotePrefix)) return await remotePaths(context, word, signal);
      return [
        ...(remotePrefix.startsWith(word) ? [{ value: remotePrefix, description: 'on the server' }] : []),
        ...(await localPaths(word)),
      ];
    case 'remote-path':
      return await remotePaths(context, word, signal);
    case 'datasource': {
      const { Datasources } = await import('#gen/cellar/data/v1/datasources_pb.ts');
      const { datasources } = await (await client(Datasources)).listDatasources({}, { signal });
      return datasources.map(({ name, folder }) => ({ value: name, description: folder }));
    }
    case 'user': {
      const { Users } = await import('#gen/cellar/identity/v1/users_pb.ts');
      const { users } = await (await client(Users)).listUsers({ pageSize: entriesMax }, { signal });
      return users.map(({ name, displayName }) => ({ value: name, description: displayName }));
    }
    case 'policy': {
      const { Policies } = await import('#gen/cellar/identity/v1/policies_pb.ts');
      const { policies } = await (await client(Policies)).browsePolicies({ pageSize: entriesMax }, { signal });
      return policies.map(({ id, description }) => ({ value: id, description }));
    }
    case 'service': {
      const { Services } = await import('#gen/cellar/platform/v1/services_pb.ts');
      const { services } = await (await client(Services)).listServices({}, { signal });
      return services.map(({ name }) => ({ value: name, description: '' }));
    }
    case 'setting': {
      const { Settings } = await import('#gen/cellar/platform/v1/services_pb.ts');
      const { settings } = await (await client(Settings)).listSettings({}, { signal });
      return settings.map(({ key, meaning }) => ({ value: key, description: meaning }));
    }
    case 'host': {
      const { Hosts } = await import('#gen/cellar/fleet/v1/hosts_pb.ts');
      const { hosts } = await (await client(Hosts)).listHosts({ pageSize: entriesMax }, { signal });
      return hosts.map(({ name, status }) => ({ value: name, description: status?.engine ?? '' }));
    }
    case 'cluster': {
      const { Clusters } = await import('#gen/cellar/fleet/v1/clusters_pb.ts');
      const { clusters } = await (await client(Clusters)).listClusters({ pageSize: entriesMax }, { signal });
      return clusters.map(({ name, blueprint, host }) => ({ value: name, description: `${blueprint} on ${host}` }));
    }
    case 'blueprint': {
      const { Blueprints } = await import('#gen/cellar/fleet/v1/blueprints_pb.ts');
      const { blueprints } = await (await client(Blueprints)).listBlueprints({}, { signal });
      return blueprints.map(({ name, description }) => ({ value: name, description }));
    }
    case 'claim': {
      const { Engine } = await import('#gen/cellar/fleet/v1/engine_pb.ts');
      const { claims } = await (await client(Engine)).listClaims({ pageSize: entriesMax }, { signal });
      return claims.map(({ id, cluster, userName }) => ({ value: cluster?.name ?? id, description: userName }));
    }
    case 'webhook': {
      const { Webhooks } = await import('#gen/cellar/fleet/v1/webhooks_pb.ts');
      const { webhooks } = await (await client(Webhooks)).listWebhooks({ pageSize: entriesMax }, { signal });
      return webhooks.map(({ name, url }) => ({ value: name, description: url }));
    }
    case 'operation': {
      const { Operations } = await import('#gen/cellar/fleet/v1/operations_pb.ts');
      const { operations } = await (await client(Operations)).listOperations({ pageSize: entriesMax }, { signal });
      return operations.map(({ id, verb, kind, name }) => ({ value: id, description: `${verb} of ${kind} ${name}` }));
    }
  }
}

async function remotePaths(context: CliContext, word: string, signal: AbortSignal): Promise<readonly Candidate[]> {
  const { Tree } = await import('#gen/cellar/data/v1/tree_pb.ts');
  const { Node_Kind } = await import('#gen/cellar/data/v1/node_pb.ts');
  const prefix = word.startsWith(remotePrefix) ? remotePrefix : '';
  const path = word.slice(prefix.length);
  const folder = path.slice(0, path.lastIndexOf('/') + 1);
  const tree = (await context.connect()).client(Tree);
  const { nodes } = await tree.list({ path: folder.replace(/^\/+|\/+$/g, ''), pageSize: entriesMax }, { signal });
  const describe = (node: Node): string => (node.kind === Node_Kind.FOLDER ? 'folder' : formatBytes(node.sizeBytes));
  return nodes.map((node) => ({
    value: `${prefix}${folder}${node.name}${node.kind === Node_Kind.FOLDER ? '/' : ''}`,
    description: describe(node),
  }));
}

async function localPaths(word: string): Promise<readonly Candidate[]> {
  const folder = word.slice(0, word.lastIndexOf('/') + 1);
  const entries = await readdir(folder || '.', { withFileTypes: true });
  const isHiddenWanted = word.slice(folder.length).startsWith('.');
  return entries
    .filter(({ name }) => isHiddenWanted || !name.startsWith('.'))
    .slice(0, entriesMax)
    .map((entry) => ({ value: `${folder}${entry.name}${entry.isDirectory() ? '/' : ''}`, description: '' }));
}
