import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { type ServiceState, ServiceState_State, ServiceStateSchema, Services } from '#gen/cellar/platform/v1/services_pb.ts';
import { implement } from '#kernel/calls/dispatcher.ts';
import { notFound } from '#kernel/fault.ts';
import { homePaths } from '#kernel/process/paths.ts';
import type { Address, Registration } from '#kernel/services/registry.ts';
import type { Micro, Running } from '#kernel/services/service.ts';
import type { Platform } from '../platform.ts';
import { readLog } from './read-log.ts';

export function createServer(micro: Micro, platform: Platform): Running {
  const { registry } = micro;
  const stateOf = (registration: Registration): ServiceState => serviceState(registration, platform);
  return {
    bindings: [
      implement(Services, {
        listServices: () => ({ services: registry.all.toSorted((a, b) => (a.service < b.service ? -1 : 1)).map(stateOf) }),
        restartService: async ({ name }, call) => {
          if (!registry.get(name)) {
            throw notFound(`Cannot restart "${name}": there is no such service`, { hint: '`cellar ps` lists them.' });
          }
          await platform.restart(name, call.signal);
          const registration = registry.get(name);
          if (!registration) throw notFound(`"${name}" has gone while it restarted`);
          return stateOf(registration);
        },
        readLogs: (request, call) =>
          readLog({
            path: homePaths(platform.home).log,
            service: request.service,
            level: request.level,
            lines: request.lines || 100,
            isFollowing: request.follow,
            signal: AbortSignal.any([call.signal, micro.signal]),
          }),
      }),
    ],
  };
}

function serviceState(registration: Registration, platform: Platform): ServiceState {
  const { memoryBytes, cpuPercent } = platform.stats(registration.service);
  return create(ServiceStateSchema, {
    name: registration.service,
    instance: platform.instance(registration.service),
    pid: registration.pid,
    state: states[registration.state],
    restarts: registration.restarts,
    memoryBytes: BigInt(memoryBytes),
    cpuPercent,
    address: platform.url(registration.service) || addressText(registration.address),
    startTime: timestampFromMs(registration.startTimeMs),
    reason: registration.reason,
    machine: registration.machine,
    description: platform.description(registration.service),
  });
}

function addressText(address: Address): string {
  switch (address.kind) {
    case 'direct':
      return 'main process';
    case 'local':
      return `unix:${address.path}`;
    case 'grpc':
      return `grpc:${address.host}:${address.port}`;
  }
}

const states: Readonly<Record<Registration['state'], ServiceState_State>> = {
  starting: ServiceState_State.STARTING,
  ready: ServiceState_State.READY,
  unhealthy: ServiceState_State.UNHEALTHY,
  backoff: ServiceState_State.BACKOFF,
  stopping: ServiceState_State.STOPPING,
  stopped: ServiceState_State.STOPPED,
};
