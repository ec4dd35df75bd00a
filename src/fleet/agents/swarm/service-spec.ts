import { createHash } from 'node:crypto';
import type { CreateServiceOptions } from 'dockerode';
import { memberDigest, type PlannedMember } from '../../blueprints/logic/plan-members.ts';
import type { ClusterRef } from '../../driver/driver.ts';
import { labelsOf, nameOf, volumeName } from '../logic/marks.ts';

export interface ServiceOwner extends ClusterRef {
  readonly fleet: string;
  readonly host: string;
}

/** A file that the swarm keeps. */
export interface KeptFile {
  readonly id: string;
  readonly name: string;
  readonly path: string;
  readonly isSecret: boolean;
  readonly isExecutable: boolean;
}

const nameLengthMax = 63;
const hashLength = 12;
export const nodeLabel = 'cellar.node';

/** Names in a swarm are names of its DNS: shortened, with a hash of the whole. */
export function swarmName({ fleet, host, ...ref }: ServiceOwner, ...rest: readonly string[]): string {
  const hash = createHash('sha256')
    .update(nameOf(fleet, host, ref, ...rest))
    .digest('hex')
    .slice(0, hashLength);
  const plain = [ref.cluster, ref.incarnation, ...rest].join('-').replace(/[^A-Za-z0-9-]+/g, '-');
  return `${plain.slice(0, nameLengthMax - hashLength - 1)}-${hash}`;
}

/**
 * A member as a service of one task, which is tied to a node: its volumes are there. The swarm does not start it again, since the watchdog does
 * that. What it publishes is reached on its own node, without the swarm's load balancer.
 */
export function serviceSpec(
  owner: ServiceOwner,
  member: PlannedMember,
  place: { readonly node: string; readonly network: string; readonly files: readonly KeptFile[] },
): CreateServiceOptions & { readonly Name: string } {
  const { fleet, host } = owner;
  const { node, network, files } = place;
  const Labels = labelsOf(fleet, host, { ...owner, member: member.name, digest: memberDigest(member) });
  const fileOf = ({ path, isSecret, isExecutable }: KeptFile) => {
    const read = isSecret ? 0o400 : 0o444;
    return { Name: path, UID: '0', GID: '0', Mode: isExecutable ? read | (read >> 2) : read };
  };
  return {
    Name: swarmName(owner, member.name),
    Labels: { ...Labels, [nodeLabel]: node },
    Mode: { Replicated: { Replicas: 1 } },
    TaskTemplate: {
      ContainerSpec: {
        Image: member.image,
        Hostname: member.name,
        Labels,
        Command: [...member.command.slice(0, 1)],
        Args: [...member.command.slice(1)],
        Env: Object.entries(member.environment).map(([name, value]) => `${name}=${value}`),
        StopSignal: member.stopSignal,
        StopGracePeriod: member.stopTimeoutMs * 1_000_000,
        Init: true,
        ...({ CapabilityDrop: ['ALL'] } as object),
        Mounts: member.volumes.map(({ name, path }) => ({
          Type: 'volume',
          Source: volumeName(fleet, host, owner, member, name),
          Target: path,
          VolumeOptions: { NoCopy: false, Labels, DriverConfig: { Name: 'local', Options: {} } },
        })),
        Configs: files
          .filter((file) => !file.isSecret)
          .map((file) => ({ File: fileOf(file), ConfigID: file.id, ConfigName: file.name })),
        Secrets: files
          .filter((file) => file.isSecret)
          .map((file) => ({ File: fileOf(file), SecretID: file.id, SecretName: file.name })),
      },
      Resources: {
        Limits: {
          ...(member.memoryBytesMax > 0 ? { MemoryBytes: member.memoryBytesMax } : {}),
          ...(member.cpuMillisMax > 0 ? { NanoCPUs: member.cpuMillisMax * 1_000_000 } : {}),
          ...(member.processesMax > 0 ? ({ Pids: member.processesMax } as object) : {}),
        },
      },
      RestartPolicy: { Condition: 'none' },
      Placement: { Constraints: [`node.id==${node}`] },
      Networks: [{ Target: network, Aliases: [member.name] }],
      LogDriver: { Name: 'json-file', Options: { 'max-size': '10m', 'max-file': '3' } },
    },
    EndpointSpec: {
      Mode: 'dnsrr',
      Ports: member.ports
        .filter(({ hostPort }) => hostPort > 0)
        .map(({ port, hostPort, isUdp }) => ({
          Protocol: isUdp ? 'udp' : 'tcp',
          TargetPort: port,
          PublishedPort: hostPort,
          PublishMode: 'host' as const,
        })),
    },
  };
}
