import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { Agent } from '#gen/cellar/fleet/v1/agent_pb.ts';
import { Agents, type RemoteAgentSchema } from '#gen/cellar/fleet/v1/agents_pb.ts';
import { readContract } from '#kernel/calls/contract.ts';
import { type Binding, implement } from '#kernel/calls/dispatcher.ts';
import { type Fault, failedPrecondition, notFound, permissionDenied } from '#kernel/fault.ts';
import { cutPage, decodePageToken, pageSizeDefault } from '#kernel/paging.ts';
import type { Ca } from '#kernel/transports/ca/ca.ts';
import type { Acceptor } from '#kernel/transports/dialled/accept.ts';
import type { AgentState, Connections } from '../logic/connections.ts';
import { newestCertificate } from '../logic/newest-certificate.ts';
import type { Enrolment, Enrolments } from '../store/enrolments.ts';

export interface AgentsParts {
  readonly enrolments: Enrolments;
  readonly connections: Connections;
  /** Absent: no agent can dial in. */
  readonly door: { readonly acceptor: Acceptor; readonly listen: string; readonly ca: () => Promise<Ca> } | undefined;
  readonly days: () => number;
  readonly now: () => number;
}

const list = 'agents';

export function agentsRpc({ enrolments, connections, door, days, now }: AgentsParts): Binding {
  const describe = async (enrolment: Enrolment) =>
    agentMessage(await newestCertificate(enrolments, enrolment), connections.state(enrolment.host));
  const hangUp = (host: string): void => door?.acceptor.drop(({ name }) => name === host, revoked(host));
  return implement(Agents, {
    async enrolAgent({ host, days: wanted }) {
      if (!door) {
        throw failedPrecondition(`Cannot enrol an agent for host "${host}": the platform does not listen for agents`, {
          reason: 'agents_not_listening',
          hint: 'Set agents.listen, such as 0.0.0.0:7072, and start anew.',
        });
      }
      const { makeBundle } = await import('../logic/enrol.ts');
      const { bundle, enrolment } = await makeBundle(await door.ca(), host, wanted || days(), now());
      await enrolments.put(enrolment);
      hangUp(host);
      return { agent: await describe(enrolment), bundle, listen: door.listen };
    },
    async listAgents({ pageSize, pageToken }) {
      const limit = pageSize || pageSizeDefault;
      const found = await enrolments.list(decodePageToken(list, pageToken), limit + 1);
      const [page, nextPageToken] = cutPage(list, found, limit, ({ host }) => host);
      return { agents: await Promise.all(page.map(describe)), nextPageToken };
    },
    async getAgent({ host }) {
      const enrolment = await enrolments.find(host);
      if (!enrolment) throw notEnrolled(host);
      return describe(enrolment);
    },
    async revokeAgent({ host }) {
      await enrolments.remove(host);
      hangUp(host);
      connections.forget(host);
      return {};
    },
  });
}

export const notEnrolled = (host: string): Fault =>
  notFound(`No agent is enrolled for host "${host}"`, {
    reason: 'agent_missing',
    hint: `\`cellar agent enrol ${host}\` makes the bundle with which it dials in.`,
  });

export const revoked = (host: string): Fault =>
  permissionDenied(`The certificate of the agent of host "${host}" was revoked or replaced`, {
    reason: 'agent_revoked',
    hint: `\`cellar agent enrol ${host}\` makes a new one.`,
  });

function agentMessage(
  { host, enrolMs, expireMs }: Enrolment,
  state: AgentState | undefined,
): MessageInitShape<typeof RemoteAgentSchema> {
  const { methods } = state ?? {};
  const missing = methods ? readContract(Agent).methods.filter(({ name }) => !methods.has(name)) : [];
  return {
    ...{ host, connected: state?.isConnected ?? false, version: state?.version ?? '', address: state?.address ?? '' },
    message: state ? state.why : 'it has not connected since the platform started',
    enrolTime: timestampFromMs(enrolMs),
    expireTime: timestampFromMs(expireMs),
    missingMethods: missing.map(({ name }) => name),
    ...(state ? { changeTime: timestampFromMs(state.changeMs) } : {}),
  };
}
