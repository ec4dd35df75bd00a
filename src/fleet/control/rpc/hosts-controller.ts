import { create } from '@bufbuild/protobuf';
import { HostSchema, Hosts } from '#gen/cellar/fleet/v1/hosts_pb.ts';
import { type Binding, implement } from '#kernel/calls/dispatcher.ts';
import { invalidArgument, notFound } from '#kernel/fault.ts';
import { cutPage, decodePageToken, pageSizeDefault } from '#kernel/paging.ts';
import type { ControlParts } from '../logic/control-parts.ts';
import { type HostSights, isSeen } from '../logic/host-sights.ts';
import { reachable } from '../logic/host-status.ts';
import { cleanHost, createHost, deleteHost, drainHost, fillupHost, resetHost, updateHost } from '../logic/host-verbs.ts';
import type { RemoteAgents } from '../logic/remote-agents.ts';
import type { HostUse, StoredHost } from '../store/store.ts';
import {
  hostMessage,
  operationMessage,
  readAgentType,
  readHostChanges,
  readHostSpec,
  readHostState,
  readSelector,
} from './messages.ts';

const list = 'hosts';
/** Rows read at once while a filter is on. */
const pieceSize = 500;

export interface HostsParts extends ControlParts {
  readonly sights: HostSights;
  readonly remoteAgents: RemoteAgents;
}

export function hostsRpc(parts: HostsParts): Binding {
  const { store, sights, remoteAgents, now } = parts;
  const get = async (name: string) => {
    const host = await store.host(name);
    if (!host)
      throw notFound(`There is no host "${name}"`, { reason: 'host_missing', hint: '`cellar hosts` shows those there are.' });
    return host;
  };
  /** With when its engine last answered, which is not stored each time. */
  const describeAll = async (hosts: readonly (StoredHost & Partial<HostUse>)[], signal: AbortSignal) => {
    const agents = await remoteAgents.of(hosts, signal);
    return hosts.map((host) => {
      const message = create(HostSchema, hostMessage(seen(host)));
      const agent = agents.get(host.name);
      if (agent && message.status) message.status.agent = agent;
      return message;
    });
  };
  const describe = async (host: StoredHost & Partial<HostUse>, signal: AbortSignal) => {
    const [described] = await describeAll([host], signal);
    return described ?? hostMessage(host);
  };
  const seen = (host: StoredHost & Partial<HostUse>) => {
    const sight = sights.latest(host.name);
    const sightMs = sight && isSeen(sight) ? now() - (performance.now() - sight.askedMs) : 0;
    return { ...host, seenMs: Math.max(host.seenMs, Math.round(sightMs)) };
  };
  return implement(Hosts, {
    async createHost({ host }, { caller }) {
      if (!host) throw invalidArgument('A host is missing in the request');
      await createHost(parts, host.name, readHostSpec(host), caller.name);
      return hostMessage(await get(host.name));
    },
    async getHost({ name, probe }, { signal }) {
      const host = await get(name);
      if (!probe) return describe(host, signal);
      // No older than the question.
      const sight = await sights.since(name, performance.now(), signal);
      const unseen = isSeen(sight) ? {} : ({ state: 'unreachable', conditions: [reachable(sight, now())] } as const);
      return describe({ ...(await get(name)), ...unseen }, signal);
    },
    async listHosts(request, { signal }) {
      const limit = request.pageSize || pageSizeDefault;
      const type = readAgentType(request.type);
      const state = readHostState(request.state);
      const labels = Object.entries(readSelector(request.labels));
      const found = [];
      for (let after = decodePageToken(list, request.pageToken); found.length <= limit; ) {
        const piece = await store.hosts(after, pieceSize);
        for (const host of piece) {
          const fits = (!type || host.spec.type === type) && (!state || host.state === state);
          if (fits && labels.every(([name, value]) => host.spec.labels[name] === value)) found.push(host);
        }
        if (piece.length < pieceSize) break;
        after = piece.at(-1)?.name ?? '';
      }
      const [page, nextPageToken] = cutPage(list, found, limit, ({ name }) => name);
      return { hosts: await describeAll(page, signal), nextPageToken };
    },
    async updateHost({ host, updateMask }, { caller }) {
      if (!host) throw invalidArgument('A host is missing in the request');
      const paths = updateMask?.paths ?? [];
      if (paths.length === 0) throw invalidArgument('Name the fields to change in `update_mask`', { reason: 'mask_missing' });
      await updateHost(parts, host.name, readHostChanges(host, paths), Number(host.version), caller.name);
      return hostMessage(await get(host.name));
    },
    deleteHost: async ({ name, force }, { caller }) => operationMessage(await deleteHost(parts, name, force, caller.name)),
    fillupHost: async ({ name, template }, { caller }) => operationMessage(await fillupHost(parts, name, template, caller.name)),
    cleanHost: async ({ name }, { caller }) => operationMessage(await cleanHost(parts, name, caller.name)),
    resetHost: async ({ name }, { caller }) => operationMessage(await resetHost(parts, name, caller.name)),
    drainHost: async ({ name, deadlineSeconds }, { caller }) =>
      operationMessage(await drainHost(parts, name, deadlineSeconds * 1000, caller.name)),
  });
}
