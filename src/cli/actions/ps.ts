import { toJson } from '@bufbuild/protobuf';
import {
  type ServiceState,
  ServiceState_State,
  ServiceState_StateSchema,
  ServiceStateSchema,
  Services,
} from '#gen/cellar/platform/v1/services_pb.ts';
import type { CliContext } from '../command.ts';
import { enumWord, formatBytes } from '../output/format.ts';
import { adminClient } from './admin-client.ts';

/** Services and their processes as a table. */
export async function listServices(context: CliContext): Promise<void> {
  const { output, signal } = context;
  await using admin = await adminClient(context, Services);
  const { services } = await admin.client.listServices({}, { signal });
  const machines = new Set(services.map(({ machine }) => machine));
  output.table(
    services,
    [
      { title: 'service', value: ({ name, instance }) => (instance ? name.slice(0, -instance.length - 1) : name) },
      { title: 'instance', value: ({ instance }) => instance || '-' },
      ...(machines.size > 1 ? [{ title: 'machine', value: ({ machine }: ServiceState) => machine }] : []),
      { title: 'pid', value: ({ pid }) => (pid ? String(pid) : '-'), isNumber: true },
      { title: 'state', value: ({ state }) => stateWord(state), paint: (text, { state }) => stateColour(state)(text) },
      { title: 'restarts', value: ({ restarts }) => String(restarts), isNumber: true },
      { title: 'memory', value: ({ memoryBytes }) => formatBytes(memoryBytes), isNumber: true },
      { title: 'cpu', value: ({ cpuPercent }) => `${cpuPercent.toFixed(1)} %`, isNumber: true },
      { title: 'address', value: ({ address, reason }) => (reason ? reason : address) },
    ],
    services.map((service) => toJson(ServiceStateSchema, service, { alwaysEmitImplicit: true })),
  );

  function stateColour(state: ServiceState_State): (text: string) => string {
    const { style } = output;
    if (state === ServiceState_State.READY) return style.green;
    return state === ServiceState_State.BACKOFF || state === ServiceState_State.STOPPED ? style.red : style.yellow;
  }
}

export function stateWord(state: ServiceState_State): string {
  return enumWord(ServiceState_StateSchema, state);
}
