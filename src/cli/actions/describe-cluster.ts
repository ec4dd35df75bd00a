import {
  type Cluster,
  Cluster_DesiredSchema,
  Cluster_HealthSchema,
  Cluster_StateSchema,
  Member_StateSchema,
} from '#gen/cellar/fleet/v1/clusters_pb.ts';
import { enumWord, formatAge } from '../output/format.ts';
import type { Style } from '../output/style.ts';
import { formatFields, formatTable } from '../output/table.ts';
import { conditionLines } from './describe-conditions.ts';

/** `free` only for one that can be had now. */
export function useWord({ claim, state }: Cluster): string {
  if (claim !== '') return 'used';
  return enumWord(Cluster_StateSchema, state) === 'ready' ? 'free' : '';
}

/** Everything about a cluster, for people. */
export function describeCluster(cluster: Cluster, style: Style, nowMs: number): string {
  const { name, blueprint, host, parameters, endpoints, labels, members } = cluster;
  const pairs = (texts: Readonly<Record<string, string>>): string =>
    Object.entries(texts)
      .map(([key, value]) => `${key}=${value}`)
      .join(', ');
  const state = enumWord(Cluster_StateSchema, cluster.state);
  const desired = enumWord(Cluster_DesiredSchema, cluster.desired);
  const isThere = state === 'ready' ? desired === 'running' : state === desired;
  const fields = formatFields(
    {
      name,
      blueprint: Object.keys(parameters).length > 0 ? `${blueprint} with ${pairs(parameters)}` : blueprint,
      host,
      state: isThere ? state : `${state}, wanted: ${desired}`,
      health: enumWord(Cluster_HealthSchema, cluster.health),
      ...(cluster.claim ? { claim: cluster.claim, owner: cluster.owner } : { use: useWord(cluster) || 'not ready' }),
      incarnation: String(cluster.incarnation),
      ...(Object.keys(labels).length > 0 ? { labels: pairs(labels) } : {}),
      made: formatAge(cluster.createTime, nowMs),
      ready: formatAge(cluster.readyTime, nowMs, 'not yet'),
      ...endpoints,
    },
    style,
  );
  const table = formatTable(
    members,
    [
      { title: 'member', value: (member) => member.name },
      { title: 'role', value: ({ role }) => role },
      { title: 'state', value: (member) => enumWord(Member_StateSchema, member.state) },
      { title: 'restarts', isNumber: true, value: ({ restarts }) => String(restarts) },
      { title: 'started', value: ({ startTime }) => formatAge(startTime, nowMs, '') },
      { title: 'ports', value: ({ ports }) => pairs(Object.fromEntries(Object.entries(ports).map(([k, v]) => [k, String(v)]))) },
      { title: 'message', value: ({ message }) => message },
    ],
    style,
  );
  return [fields, '', table, ...conditionLines(cluster.conditions, style)].join('\n');
}
