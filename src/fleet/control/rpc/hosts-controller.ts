import { Hosts } from '#gen/cellar/fleet/v1/hosts_pb.ts';
import { type Binding, implement } from '#kernel/calls/dispatcher.ts';
import { invalidArgument, notFound } from '#kernel/fault.ts';
import { cutPage, decodePageToken, pageSizeDefault } from '#kernel/paging.ts';
import type { ControlParts } from '../logic/control-parts.ts';
import { cleanHost, createHost, deleteHost, drainHost, fillupHost, resetHost, updateHost } from '../logic/host-verbs.ts';
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
  /** Asks the engine now, so that what is answered is no older than the question. */
  readonly probe: (host: string, signal: AbortSignal) => Promise<void>;
}

export function hostsRpc(parts: HostsParts): Binding {
  const { store } = parts;
  const get = async (name: string) => {
    const host = await store.host(name);
    if (!host)
      throw notFound(`There is no host "${name}"`, { reason: 'host_missing', hint: '`cellar hosts` shows those there are.' });
    return host;
  };
  return implement(Hosts, {
    async createHost({ host }, { caller }) {
      if (!host) throw invalidArgument('A host is missing in the request');
      await createHost(parts, host.name, readHostSpec(host), caller.name);
      return hostMessage(await get(host.name));
    },
    async getHost({ name, probe }, { signal }) {
      if (probe) await parts.probe(name, signal);
      return hostMessage(await get(name));
    },
    async listHosts(request) {
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
      return { hosts: page.map(hostMessage), nextPageToken };
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
