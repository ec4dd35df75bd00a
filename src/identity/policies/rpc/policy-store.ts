import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { PolicyStore } from '#gen/cellar/identity/v1/policies_pb.ts';
import { type Binding, implement } from '#kernel/calls/dispatcher.ts';
import { invalidArgument, notFound } from '#kernel/fault.ts';
import { cutPage, decodePageToken, pageSizeDefault } from '#kernel/paging.ts';
import { etagOf, parseEtag } from '../logic/etag.ts';
import type { PolicyRows, StoredPolicy } from '../store/store.ts';

/** `signal` aborts when the service stops: watching ends then. */
export function policyStoreRpc(rows: PolicyRows, now: () => number, signal: AbortSignal): Binding {
  return implement(PolicyStore, {
    async putPolicy({ policy }) {
      if (!policy) throw invalidArgument('Cannot put a policy: none was given');
      const { id, description, text, etag } = policy;
      return toMessage(await rows.put({ id, description, text, updateTimeMs: now() }, parseEtag(etag)));
    },
    async getPolicy({ id }) {
      const policy = await rows.get(id);
      if (!policy) throw notFound(`Cannot show policy "${id}": there is none of this name`);
      return toMessage(policy);
    },
    async listPolicies({ pageSize, pageToken }) {
      const size = pageSize || pageSizeDefault;
      const found = await rows.list(decodePageToken('policies', pageToken), size + 1);
      const [page, nextPageToken] = cutPage('policies', found.policies, size, (policy) => policy.id);
      return { policies: page.map(toMessage), nextPageToken, version: BigInt(found.version) };
    },
    async deletePolicy({ id, etag }) {
      await rows.delete(id, parseEtag(etag));
      return {};
    },
    async *watchPolicies(_request, call) {
      for await (const version of rows.watch(AbortSignal.any([call.signal, signal]))) yield { version: BigInt(version) };
    },
  });
}

function toMessage(policy: StoredPolicy) {
  const { id, description, text, updateTimeMs } = policy;
  return { id, description, text, etag: etagOf(policy), updateTime: timestampFromMs(updateTimeMs) };
}
