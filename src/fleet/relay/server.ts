import { join } from 'node:path';
import { serviceCaller } from '#kernel/calls/caller.ts';
import { unavailable } from '#kernel/fault.ts';
import type { Micro, Running } from '#kernel/services/service.ts';
import type { SettingsOf } from '#kernel/settings/setting.ts';
import { rest } from '#lib/rest.ts';
import manifest from '../../../package.json' with { type: 'json' };
import { Connections } from './logic/connections.ts';
import { renewAgent } from './processors/agent-renewer.ts';
import { agentsRpc, notEnrolled, revoked } from './rpc/agents-controller.ts';
import { forwardRpc, type Reach } from './rpc/forward-controller.ts';
import type { settings } from './settings.ts';
import { createEnrolments } from './store/enrolments.ts';

/** How often it is looked whether certificates are due. */
const renewMs = 3_600_000;

export async function createServer(micro: Micro<SettingsOf<typeof settings>>): Promise<Running> {
  const { database, log, settings, metrics, signal } = micro;
  const now = (): number => micro.clock.now();
  const enrolments = createEnrolments(database);
  const caller = serviceCaller(micro.name);
  const { listen } = settings;
  const folder = join(micro.folder, 'ca');
  const ca = async () => (await import('#kernel/transports/ca/ca.ts')).ensureCa(folder);
  const renewal = { enrolments, ca, caller, log, now };
  const connections = new Connections({
    ...{ caller, version: manifest.version, log, now },
    onConnected: (host, channel) => void renewAgent(renewal, host, channel),
  });
  metrics.gauge('cellar_fleet_agents_connected', 'Agents beside their hosts that are connected.', () => connections.size);

  const acceptor =
    listen === ''
      ? undefined
      : await (await import('./logic/listen.ts')).listenForAgents({
          ...{ listen, folder, log, signal, silenceMs: settings.silenceSeconds * 1000 },
          async admit({ name, fingerprint }) {
            if ((await enrolments.find(name))?.fingerprint === fingerprint) return;
            const renewed = (await enrolments.renewals(name)).find((one) => one.fingerprint === fingerprint);
            if (!renewed) throw revoked(name);
            await enrolments.promote(renewed);
          },
          onDialled: (dialled) => void connections.take(dialled),
        });
  if (acceptor) void keepRenewed();

  /** An agent that stays connected is asked now and then. */
  async function keepRenewed(): Promise<void> {
    while (!signal.aborted) {
      await rest(renewMs, signal, { isRef: false });
      for (const [host, channel] of signal.aborted ? [] : connections.channels) await renewAgent(renewal, host, channel);
    }
  }

  const reach: Reach = async (host, method) => {
    const channel = connections.find(host, method);
    if (channel) return channel;
    const { message, hint = '' } = (await enrolments.find(host))
      ? { message: `The agent of host "${host}" is not connected` }
      : notEnrolled(host);
    const why = connections.state(host)?.why ?? '';
    throw unavailable(why ? `${message}: ${why}` : message, { reason: 'engine_unreachable', ...(hint ? { hint } : {}) });
  };
  return {
    bindings: [
      agentsRpc({ enrolments, connections, now, days: () => settings.days, door: acceptor && { acceptor, listen, ca } }),
      forwardRpc(reach, caller),
    ],
    check: (patience) => database.check(patience),
    stop: async () => acceptor?.close(),
  };
}
