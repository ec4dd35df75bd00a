import type { FleetEvent } from '#gen/cellar/fleet/v1/common_pb.ts';
import { Engine } from '#gen/cellar/fleet/v1/engine_pb.ts';
import type { Caller } from '#kernel/calls/caller.ts';
import { type Binding, implement } from '#kernel/calls/dispatcher.ts';
import { Fault, notFound, permissionDenied } from '#kernel/fault.ts';
import { cutPage, decodePlace, pageSizeDefault } from '#kernel/paging.ts';
import type { MembersPlan } from '../../blueprints/logic/plan-members.ts';
import { endClaim, renewClaim } from '../logic/claims.ts';
import { isOperator } from '../logic/cluster-access.ts';
import type { ControlParts } from '../logic/control-parts.ts';
import type { Engine as EngineVerbs } from '../logic/engine.ts';
import type { FleetFigures } from '../logic/fleet-figures.ts';
import type { People } from '../logic/people.ts';
import type { StoredClaim, StoredCluster } from '../store/store.ts';
import { claimMessage, clusterMessage, readLabels, readSelector } from './messages.ts';
import { type EventFeed, watchEvents } from './operations-controller.ts';

const list = 'claims';

interface Place {
  readonly appliedMs: number;
  readonly id: string;
}

export interface EngineParts extends ControlParts {
  readonly engine: EngineVerbs;
  readonly figures: Pick<FleetFigures, 'applied' | 'refused' | 'read'>;
  readonly people: People;
  readonly events: EventFeed;
  readonly planOf: (cluster: StoredCluster) => Promise<MembersPlan>;
}

export function engineRpc(parts: EngineParts): Binding {
  const { store, engine, figures, people, events, planOf } = parts;

  async function describe(claim: StoredClaim) {
    const cluster = claim.state === 'bound' ? await store.cluster(claim.cluster) : undefined;
    const waiting = claim.state === 'waiting' ? await store.waiting(1000) : [];
    const place = waiting.findIndex(({ id }) => id === claim.id) + 1;
    return claimMessage(claim, cluster && clusterMessage(cluster, { endpoints: (await planOf(cluster)).endpoints }), place);
  }

  /** Errors: `not_found`, also for a claim of somebody else. */
  async function find(id: string, caller: Caller): Promise<StoredClaim> {
    const claim = await store.claim(id);
    if (claim && (isOperator(caller) || claim.user === caller.id)) return claim;
    throw notFound(`There is no claim "${id}"`, { reason: 'claim_missing', hint: '`cellar claims` shows yours.' });
  }

  return implement(Engine, {
    async apply(request, { caller, signal }) {
      if (request.user !== '' && request.user !== caller.id && !isOperator(caller))
        throw permissionDenied('Only administrators may claim clusters for others', { reason: 'not_operator' });
      const { blueprint, allowMultiple } = request;
      const [parameters, labels] = [readLabels(request.parameters), readLabels(request.labels)];
      const selectors = request.selectors.map((selector) => ({ host: selector.host, labels: readSelector(selector.labels) }));
      const startMs = performance.now();
      const isOther = request.user !== '' && request.user !== caller.id;
      const { id, name } = isOther ? await people.able(request.user, signal) : caller;
      const times = { ttlMs: request.ttlSeconds * 1000, waitMs: request.waitSeconds * 1000 };
      try {
        const claim = await engine.apply(
          { blueprint, parameters, selectors, allowMultiple, labels, user: id, userName: name, ...times },
          signal,
        );
        figures.applied(claim.given?.blueprint ?? blueprint, performance.now() - startMs);
        return await describe(claim);
      } catch (error) {
        figures.refused(Fault.from(error).reason);
        throw error;
      }
    },
    async release({ id }, { caller }) {
      const claim = await find(id, caller);
      const ended = await endClaim(parts, id, claim.user === caller.id ? 'released' : 'operator', caller.name);
      if (ended.cluster !== '') parts.look(ended.cluster);
      return describe(ended);
    },
    async renew({ id, ttlSeconds }, { caller }) {
      await find(id, caller);
      return describe(await renewClaim(parts, id, ttlSeconds * 1000));
    },
    getClaim: async ({ id }, { caller }) => describe(await find(id, caller)),
    async listClaims({ pageSize, pageToken, withEnded, user, cluster }, { caller, signal }) {
      const limit = pageSize || pageSizeDefault;
      const whose = !isOperator(caller) ? caller.id : user === '' || user === caller.id ? user : await people.idOf(user, signal);
      const filter = { ...(whose ? { user: whose } : {}), ...(cluster ? { cluster } : {}), withEnded };
      const rows = await store.claims(filter, decodePlace(list, pageToken, isPlace), limit + 1);
      const [page, nextPageToken] = cutPage(list, rows, limit, ({ appliedMs, id }): Place => ({ appliedMs, id }));
      return { claims: await Promise.all(page.map(describe)), nextPageToken };
    },
    async *watchClaim({ id, after }, call) {
      const claim = await find(id, call.caller);
      let { cluster } = claim;
      const isOurs = (event: FleetEvent): boolean => {
        const isOfClaim = event.kind === 'claim' && event.name === id;
        if (isOfClaim && event.cluster !== '') cluster = event.cluster;
        // The same cluster was others' before.
        return isOfClaim || (cluster !== '' && event.cluster === cluster && event.owner === claim.user && event.kind !== 'claim');
      };
      for await (const event of watchEvents(events, { after: Number(after) }, isOurs, call.signal)) {
        yield event;
        if (event.kind === 'claim' && event.name === id && event.reason === 'ClaimEnded') return;
      }
    },
    getStatistics: async ({ windowSeconds }) => figures.read(windowSeconds),
  });
}

function isPlace(place: unknown): place is Place {
  const { appliedMs, id } = Object(place) as Readonly<Record<string, unknown>>;
  return typeof appliedMs === 'number' && typeof id === 'string';
}
