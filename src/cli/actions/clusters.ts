import { stripVTControlCharacters } from 'node:util';
import { toJson } from '@bufbuild/protobuf';
import {
  Cluster_Health,
  Cluster_HealthSchema,
  Cluster_StateSchema,
  ClusterSchema,
  ClusterStatsSchema,
  Clusters,
  ExecInClusterResponseSchema,
  ListClustersRequest_Use,
  MemberLogLineSchema,
} from '#gen/cellar/fleet/v1/clusters_pb.ts';
import { Operations } from '#gen/cellar/fleet/v1/operations_pb.ts';
import { Code, Fault, invalidArgument } from '#kernel/fault.ts';
import type { CliContext } from '../command.ts';
import { Exit } from '../exit-codes.ts';
import { enumValue } from '../output/enum-value.ts';
import { enumWord, formatAge, formatBytes } from '../output/format.ts';
import { createProgress } from '../output/progress.ts';
import { formatTable, printable } from '../output/table.ts';
import { parsePairs } from '../pairs.ts';
import { allPages } from './all-pages.ts';
import { describeCluster, useWord } from './describe-cluster.ts';
import { followOperation, type WaitOptions } from './follow-operation.ts';
import { client, show } from './support.ts';

export interface ClusterFilter {
  readonly host?: string;
  readonly blueprint?: string;
  readonly state?: string;
  readonly health?: string;
  readonly free?: boolean;
  readonly used?: boolean;
  readonly owner?: string;
  readonly label?: readonly string[];
}

export async function listClusters(context: CliContext, filter: ClusterFilter): Promise<void> {
  const { output, signal } = context;
  const { host = '', blueprint = '', owner = '', label = [], free = false, used = false } = filter;
  if (free && used) throw invalidArgument('Cannot list clusters that are both free and used: give one of --free and --used');
  const use = free ? ListClustersRequest_Use.FREE : used ? ListClustersRequest_Use.USED : ListClustersRequest_Use.UNSPECIFIED;
  const request = {
    ...{ host, blueprint, owner, use, labels: label.join(',') },
    state: enumValue(Cluster_StateSchema, filter.state),
    health: enumValue(Cluster_HealthSchema, filter.health),
  };
  const clusters = await client(context, Clusters);
  const found = await allPages(
    (page) => clusters.listClusters({ ...request, ...page }, { signal }),
    (answer) => answer.clusters,
  );
  output.table(
    found,
    [
      { title: 'name', value: ({ name }) => name },
      { title: 'blueprint', value: ({ blueprint: of }) => of },
      { title: 'host', value: ({ host: on }) => on },
      { title: 'state', value: ({ state }) => enumWord(Cluster_StateSchema, state) },
      {
        title: 'health',
        value: ({ health }) => enumWord(Cluster_HealthSchema, health),
        paint: (word, { health }) => {
          if (health === Cluster_Health.OK) return output.style.green(word);
          return health === Cluster_Health.FAILED ? output.style.red(word) : output.style.yellow(word);
        },
      },
      { title: 'use', value: useWord },
      { title: 'members', isNumber: true, value: ({ members }) => String(members.length) },
      { title: 'made', value: ({ createTime }) => formatAge(createTime, Date.now()) },
      { title: 'endpoint', value: ({ endpoints }) => Object.values(endpoints)[0] ?? '' },
    ],
    found.map((cluster) => toJson(ClusterSchema, cluster, { alwaysEmitImplicit: true })),
  );
}

export interface CreateOptions extends WaitOptions {
  readonly name?: string;
  readonly host?: string;
  readonly label?: readonly string[];
}

/** Makes a cluster and waits until it is ready; exits with 1 when it could not be built. */
export async function createCluster(
  context: CliContext,
  blueprint: string,
  words: readonly string[],
  { name: wanted = '', host = '', label, wait = true }: CreateOptions,
): Promise<void> {
  const { output, signal } = context;
  const clusters = await client(context, Clusters);
  const labels = parsePairs(label, 'label');
  const request = { name: wanted, host, blueprint, labels, parameters: parsePairs(words) };
  const begun = await clusters.createCluster(request, { signal });
  const { name } = begun;
  if (!wait) {
    output.message(`Cluster ${name} is being built on host ${begun.host}; "cellar cluster show ${name}" shows how far it is.`);
    if (output.isJson) show(context, ClusterSchema, begun, () => '');
    return;
  }
  await waitUntilBuilt(context, name);
  const cluster = await clusters.getCluster({ name }, { signal });
  show(context, ClusterSchema, cluster, () => describeCluster(cluster, output.style, Date.now()));
}

async function waitUntilBuilt(context: CliContext, name: string): Promise<void> {
  const { output, signal } = context;
  const operations = await client(context, Operations);
  using progress = createProgress(output, `Building ${name}`, { hasLines: true });
  try {
    for await (const event of operations.listEvents({ cluster: name, follow: true }, { signal })) {
      progress.set({ done: 0, text: event.message });
      if (event.reason === 'ClusterReady') return;
      if (event.reason === 'ClusterGone') throw new Fault(Code.Aborted, `Cluster ${name} was deleted while it was built`);
      if (event.reason !== 'ClusterFailed') continue;
      context.exitCode = Exit.Failed;
      output.warn(`${event.message}. It is tried again later; "cellar cluster delete ${name}" ends that.`);
      return;
    }
    throw new Fault(Code.Unavailable, `Cannot tell how far cluster ${name} is: the server stopped telling`);
  } catch (error) {
    progress[Symbol.dispose]();
    if (signal.aborted) output.message(`It goes on; "cellar cluster show ${name}" shows how far it is.`);
    throw error;
  }
}

export async function showCluster(context: CliContext, name: string): Promise<void> {
  const cluster = await (await client(context, Clusters)).getCluster({ name }, { signal: context.signal });
  show(context, ClusterSchema, cluster, () => describeCluster(cluster, context.output.style, Date.now()));
}

export type ClusterVerb = 'start' | 'stop' | 'restart' | 'reset' | 'delete';

export interface VerbOptions extends WaitOptions {
  readonly force?: boolean;
  readonly yes?: boolean;
}

const questions: Partial<Record<ClusterVerb, (name: string) => string>> = {
  reset: (name) => `Build cluster ${name} anew, without its data?`,
  delete: (name) => `Delete cluster ${name} with its data?`,
};

export async function changeCluster(
  context: CliContext,
  verb: ClusterVerb,
  name: string,
  { force = false, yes, wait = true }: VerbOptions,
): Promise<void> {
  const clusters = await client(context, Clusters);
  const question = questions[verb];
  if (question) {
    const cluster = await clusters.getCluster({ name }, { signal: context.signal });
    await context.confirm(`${question(name)}${cluster.claim ? ' It is used.' : ''}`, yes);
  }
  const change = {
    start: clusters.startCluster,
    stop: clusters.stopCluster,
    restart: clusters.restartCluster,
    reset: clusters.resetCluster,
    delete: clusters.deleteCluster,
  }[verb];
  await followOperation(context, await change({ name, force }, { signal: context.signal }), { wait });
}

export interface LogOptions {
  readonly follow?: boolean;
  readonly member?: string;
  readonly tail?: number;
}

export async function showClusterLogs(context: CliContext, name: string, options: LogOptions): Promise<void> {
  const { output, signal } = context;
  const { member = '', follow = false, tail = 0 } = options;
  const clusters = await client(context, Clusters);
  for await (const line of clusters.readClusterLogs({ name, member, follow, tail }, { signal }))
    output.line(output.isJson ? toJson(MemberLogLineSchema, line) : undefined, () => {
      const text = printable(stripVTControlCharacters(line.text).trimEnd());
      return member === '' ? `${output.style.dim(`${line.member} |`)} ${text}` : text;
    });
}

export async function showClusterStats(
  context: CliContext,
  name: string,
  { follow = false }: { follow?: boolean },
): Promise<void> {
  const { output, signal } = context;
  const clusters = await client(context, Clusters);
  let hasTitles = true;
  for await (const stats of clusters.watchClusterStats({ name, follow }, { signal })) {
    output.line(output.isJson ? toJson(ClusterStatsSchema, stats, { alwaysEmitImplicit: true }) : undefined, () =>
      formatTable(
        stats.members,
        [
          { title: 'member', value: ({ member }) => member },
          { title: 'memory', isNumber: true, value: ({ memoryBytes }) => formatBytes(memoryBytes) },
          { title: 'cpu', isNumber: true, value: ({ cpuPercent }) => `${cpuPercent.toFixed(1)}%` },
          { title: 'processes', isNumber: true, value: ({ processes }) => String(processes) },
        ],
        output.style,
        hasTitles,
      ),
    );
    hasTitles = false;
  }
}

/** Exits with what the command in the member exits with. */
export async function execInCluster(
  context: CliContext,
  name: string,
  member: string,
  command: readonly string[],
): Promise<void> {
  const { output, signal } = context;
  const clusters = await client(context, Clusters);
  const answer = await clusters.execInCluster({ name, member, command: [...command] }, { signal });
  const { exitCode } = answer;
  context.exitCode = exitCode >= 0 && exitCode <= 255 ? exitCode : Exit.Failed;
  if (output.isJson) return show(context, ExecInClusterResponseSchema, answer, () => '');
  await output.write(answer.output);
  output.stderr.write(answer.errors);
}
