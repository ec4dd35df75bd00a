import type { PlannedMember } from '../../blueprints/logic/plan-members.ts';

/** A member that runs a script of the POSIX shell. */
export function shellMember(name: string, image: string, script: string, more: Partial<PlannedMember> = {}): PlannedMember {
  return {
    ...{ name, role: name, after: [], image, programs: image === '' ? ['/bin/sh'] : [] },
    command: ['sh', '-c', script],
    ...{ environment: {}, ports: [], volumes: [], files: [], ready: [] },
    ...{ memoryBytesMax: 0, cpuMillisMax: 0, processesMax: 0, stopSignal: 'SIGTERM', stopTimeoutMs: 2000 },
    ...more,
  };
}
