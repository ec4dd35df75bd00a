import type { ContainerCreateOptions } from 'dockerode';
import { memberDigest, type PlannedMember } from '../../blueprints/logic/plan-members.ts';
import type { ClusterRef } from '../../driver/driver.ts';
import { labelsOf, nameOf, volumeName } from '../logic/marks.ts';

/** Whose a container is, and at which address of its machine it is reached. */
export interface ContainerOwner extends ClusterRef {
  readonly fleet: string;
  readonly host: string;
  readonly listen: string;
}

/** Of one container; the oldest goes. */
const logFile = { 'max-size': '10m', 'max-file': '3' };

/** A member as Docker makes it: without rights it has no use for, and not started again by Docker, since the watchdog does that. */
export function containerSpec(owner: ContainerOwner, member: PlannedMember): ContainerCreateOptions & { readonly name: string } {
  const { fleet, host, listen } = owner;
  const published = member.ports.filter(({ hostPort }) => hostPort > 0);
  const portOf = ({ port, isUdp }: PlannedMember['ports'][number]): string => `${port}/${isUdp ? 'udp' : 'tcp'}`;
  const network = nameOf(fleet, host, owner);
  return {
    name: nameOf(fleet, host, owner, member.name),
    Image: member.image,
    Hostname: member.name,
    // The image's own entry point would get the command as its arguments.
    Entrypoint: [...member.command.slice(0, 1)],
    Cmd: [...member.command.slice(1)],
    Env: Object.entries(member.environment).map(([name, value]) => `${name}=${value}`),
    Labels: labelsOf(fleet, host, { ...owner, member: member.name, digest: memberDigest(member) }),
    StopSignal: member.stopSignal,
    StopTimeout: Math.ceil(member.stopTimeoutMs / 1000),
    ExposedPorts: Object.fromEntries(published.map((port) => [portOf(port), {}])),
    HostConfig: {
      NetworkMode: network,
      PortBindings: Object.fromEntries(
        published.map((port) => [portOf(port), [{ HostIp: listen, HostPort: String(port.hostPort) }]]),
      ),
      Mounts: member.volumes.map(({ name, path }) => ({
        Type: 'volume',
        Source: volumeName(fleet, host, owner, member, name),
        Target: path,
      })),
      Memory: member.memoryBytesMax,
      // The same number: what is over goes to no swap.
      MemorySwap: member.memoryBytesMax,
      NanoCpus: member.cpuMillisMax * 1_000_000,
      ...(member.processesMax > 0 ? { PidsLimit: member.processesMax } : {}),
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges'],
      // Reaps what members leave behind.
      Init: true,
      RestartPolicy: { Name: 'no' },
      LogConfig: { Type: 'json-file', Config: logFile },
    },
    NetworkingConfig: { EndpointsConfig: { [network]: { Aliases: [member.name] } } },
  };
}
