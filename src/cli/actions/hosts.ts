import { toJson } from '@bufbuild/protobuf';
import type { RemoteAgent } from '#gen/cellar/fleet/v1/agents_pb.ts';
import {
  AgentTypeSchema,
  type Host,
  HostSchema,
  HostStatus_State,
  HostStatus_StateSchema,
  Hosts,
} from '#gen/cellar/fleet/v1/hosts_pb.ts';
import { invalidArgument } from '#kernel/fault.ts';
import type { CliContext } from '../command.ts';
import { parseSeconds } from '../duration.ts';
import { enumValue } from '../output/enum-value.ts';
import { enumWord, formatAge, plural } from '../output/format.ts';
import { formatFields } from '../output/table.ts';
import { parsePairs, parseTemplate } from '../pairs.ts';
import { allPages } from './all-pages.ts';
import { conditionLines } from './describe-conditions.ts';
import { followOperation, type WaitOptions } from './follow-operation.ts';
import { client, show } from './support.ts';

export interface HostFilter {
  readonly type?: string;
  readonly state?: string;
  readonly label?: readonly string[];
}

/** Options of `host add` and `host update`, named as the fields of a host's spec. */
export interface HostOptions {
  readonly type?: string;
  readonly address?: string;
  readonly credentials?: string;
  readonly capacity?: number;
  readonly weight?: number;
  readonly template?: readonly string[];
  readonly autofill?: boolean;
  readonly warm?: number;
  readonly label?: readonly string[];
  readonly ports?: string;
  readonly agent?: string;
}

export async function listHosts(context: CliContext, { type, state, label = [] }: HostFilter): Promise<void> {
  const { output, signal } = context;
  const hosts = await client(context, Hosts);
  const filter = { type: enumValue(AgentTypeSchema, type), state: enumValue(HostStatus_StateSchema, state) };
  const labels = label.join(',');
  const found = await allPages(
    (page) => hosts.listHosts({ ...filter, labels, ...page }, { signal }),
    (answer) => answer.hosts,
  );
  output.table(
    found,
    [
      { title: 'name', value: ({ name }) => name },
      { title: 'type', value: typeWord },
      {
        title: 'state',
        value: stateWord,
        paint: (word, { status, spec }) => {
          if (status?.state === HostStatus_State.UNREACHABLE) return output.style.red(word);
          return status?.state === HostStatus_State.ACTIVE && !spec?.cordoned
            ? output.style.green(word)
            : output.style.yellow(word);
        },
      },
      { title: 'used', isNumber: true, value: ({ status }) => String(status?.used ?? 0) },
      { title: 'free', isNumber: true, value: ({ status }) => String(status?.free ?? 0) },
      { title: 'clusters', isNumber: true, value: ({ status, spec }) => `${status?.clusters ?? 0}/${spec?.capacity ?? 0}` },
      { title: 'autofill', value: autofillWord },
      { title: 'seen', value: ({ status }) => formatAge(status?.seenTime, Date.now()) },
      { title: 'engine', value: ({ status }) => status?.engine ?? '' },
    ],
    found.map((host) => toJson(HostSchema, host, { alwaysEmitImplicit: true })),
  );
}

export async function addHost(context: CliContext, name: string, options: HostOptions): Promise<void> {
  const { spec } = readSpec({ capacity: 1, ...options });
  const type = enumValue(AgentTypeSchema, options.type);
  const hosts = await client(context, Hosts);
  const remoteAgent = options.agent === 'remote';
  const host = await hosts.createHost({ host: { name, spec: { ...spec, type, remoteAgent } } }, { signal: context.signal });
  const next = host.spec?.autofill
    ? 'It fills itself; "cellar clusters" shows how far it is.'
    : `"cellar host fillup ${name}" builds clusters there.`;
  context.output.message(`Added host ${name} (${host.status?.engine}). ${next}`);
  if (context.output.isJson) show(context, HostSchema, host, () => '');
}

export async function showHost(context: CliContext, name: string, { probe = false }: { probe?: boolean }): Promise<void> {
  const host = await (await client(context, Hosts)).getHost({ name, probe }, { signal: context.signal });
  show(context, HostSchema, host, () => describeHost(host, context));
}

function describeHost(host: Host, { output: { style } }: CliContext): string {
  const { spec, status, name, createTime } = host;
  const labels = Object.entries(spec?.labels ?? {}).map(([label, value]) => `${label}=${value}`);
  const templates = (spec?.templates ?? []).map(({ blueprint, parameters }) =>
    [blueprint, ...Object.entries(parameters).map(([parameter, value]) => `${parameter}=${value}`)].join(','),
  );
  const { clusters = 0, used = 0, free = 0, weight = 0 } = status ?? {};
  const weightMax = spec?.capacityWeight ? `, weight ${weight} of ${spec.capacityWeight}` : '';
  const fields = formatFields(
    {
      name,
      type: typeWord(host),
      ...(spec?.address ? { address: spec.address } : {}),
      ...(spec?.credentials ? { credentials: spec.credentials } : {}),
      engine: status?.engine ?? '',
      ...(spec?.remoteAgent ? { agent: agentWords(status?.agent) } : {}),
      state: stateWord(host),
      clusters: `${clusters} of ${spec?.capacity ?? 0}: ${used} used, ${free} free, ${clusters - used - free} neither${weightMax}`,
      autofill: autofillWord(host),
      templates: templates.join('  ') || 'none',
      ...(labels.length > 0 ? { labels: labels.join(', ') } : {}),
      ports: `${spec?.portFirst} to ${spec?.portLast}`,
      'last seen': formatAge(status?.seenTime, Date.now()),
      added: formatAge(createTime, Date.now()),
    },
    style,
  );
  return [fields, ...conditionLines(status?.conditions ?? [], style)].join('\n');
}

export async function updateHost(context: CliContext, name: string, options: HostOptions): Promise<void> {
  const { spec, paths } = readSpec(options);
  if (paths.length === 0) throw invalidArgument(`Cannot change host ${name}: nothing to change was named`);
  await change(context, name, spec, paths);
  context.output.message(`Changed host ${name}.`);
}

export async function setCordoned(context: CliContext, name: string, cordoned: boolean): Promise<void> {
  await change(context, name, { cordoned }, ['cordoned']);
  context.output.message(
    cordoned
      ? `No cluster is given out or built on host ${name} until "cellar host uncordon ${name}".`
      : `Clusters are given out and built on host ${name} again.`,
  );
}

export async function fillupHost(
  context: CliContext,
  name: string,
  template: string | undefined,
  wait: WaitOptions,
): Promise<void> {
  const hosts = await client(context, Hosts);
  const request = { name, ...(template === undefined ? {} : { template: parseTemplate(template) }) };
  await followOperation(context, await hosts.fillupHost(request, { signal: context.signal }), wait);
}

export async function drainHost(
  context: CliContext,
  name: string,
  { deadline, wait }: WaitOptions & { deadline?: string },
): Promise<void> {
  const hosts = await client(context, Hosts);
  const operation = await hosts.drainHost({ name, deadlineSeconds: parseSeconds(deadline) }, { signal: context.signal });
  await followOperation(context, operation, { wait: wait ?? true });
}

type Sure = WaitOptions & { readonly yes?: boolean };

export async function cleanHost(context: CliContext, name: string, { yes, wait }: Sure): Promise<void> {
  const hosts = await client(context, Hosts);
  const { status } = await hosts.getHost({ name }, { signal: context.signal });
  await context.confirm(`Delete ${plural(status?.free ?? 0, 'free cluster')} of host ${name}?`, yes);
  await followOperation(context, await hosts.cleanHost({ name }, { signal: context.signal }), { wait: wait ?? true });
}

export async function resetHost(context: CliContext, name: string, { yes, wait }: Sure): Promise<void> {
  const hosts = await client(context, Hosts);
  const { status } = await hosts.getHost({ name }, { signal: context.signal });
  await context.confirm(`Build ${plural(status?.clusters ?? 0, 'cluster')} of host ${name} anew, without their data?`, yes);
  await followOperation(context, await hosts.resetHost({ name }, { signal: context.signal }), { wait: wait ?? true });
}

export async function deleteHost(
  context: CliContext,
  name: string,
  { yes, wait, force = false }: Sure & { force?: boolean },
): Promise<void> {
  const hosts = await client(context, Hosts);
  const { status } = await hosts.getHost({ name }, { signal: context.signal });
  const { clusters = 0, used = 0 } = status ?? {};
  const too = force && clusters > 0 ? ` with ${plural(clusters, 'cluster')}, ${used} of them used` : '';
  await context.confirm(`Delete host ${name}${too}?`, yes);
  await followOperation(context, await hosts.deleteHost({ name, force }, { signal: context.signal }), { wait: wait ?? true });
}

/** The spec that options speak of, and the fields they name. */
function readSpec(options: HostOptions) {
  const { address, credentials, capacity, weight, template, autofill, warm, label, ports } = options;
  const [portFirst, portLast] = ports === undefined ? [] : readPorts(ports);
  const given = {
    ...{ address, credentials, capacity, autofill, portFirst, portLast },
    capacityWeight: weight,
    warmMin: warm,
    templates: template?.map(parseTemplate),
    labels: label && parsePairs(label, 'label'),
  };
  const named = Object.entries(given).filter(([, value]) => value !== undefined);
  const spec = Object.fromEntries(named) as { [K in keyof typeof given]?: NonNullable<(typeof given)[K]> };
  return { spec, paths: named.map(([field]) => field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)) };
}

function readPorts(text: string): [number, number] {
  const [, first, last] = /^(\d{1,5})-(\d{1,5})$/.exec(text) ?? [];
  if (first === undefined || last === undefined)
    throw invalidArgument(`Cannot read "${text}" as a range of ports: write it as 20000-29999`);
  return [Number(first), Number(last)];
}

async function change(context: CliContext, name: string, spec: Parameters<typeof patch>[2], paths: string[]): Promise<void> {
  const host = await patch(context, name, spec, paths);
  if (context.output.isJson) show(context, HostSchema, host, () => '');
}

async function patch(
  context: CliContext,
  name: string,
  spec: ReturnType<typeof readSpec>['spec'] & { readonly cordoned?: boolean },
  paths: string[],
): Promise<Host> {
  const hosts = await client(context, Hosts);
  return await hosts.updateHost({ host: { name, spec }, updateMask: { paths } }, { signal: context.signal });
}

function agentWords(agent: RemoteAgent | undefined): string {
  if (!agent) return 'remote, not known to the platform';
  const { connected, version, address, message } = agent;
  return connected ? `remote, version ${version}, connected from ${address}` : `remote, not connected: ${message}`;
}

const typeWord = ({ spec }: Host): string => (spec ? enumWord(AgentTypeSchema, spec.type) : '');

function stateWord({ spec, status }: Host): string {
  const word = status ? enumWord(HostStatus_StateSchema, status.state) : '';
  return spec?.cordoned && status?.state === HostStatus_State.ACTIVE ? 'cordoned' : word;
}

function autofillWord({ spec }: Host): string {
  if (!spec?.autofill) return 'no';
  return spec.warmMin > 0 ? `${spec.warmMin} free` : 'all';
}
