import { createHash } from 'node:crypto';
import type { Question } from '../../blueprints/logic/blueprint.ts';
import { memberDigest, type PlannedMember } from '../../blueprints/logic/plan-members.ts';
import type { ClusterRef } from '../../driver/driver.ts';
import { labelsOf, nameOf } from '../logic/marks.ts';
import { containerName, type Kind } from './api.ts';

export interface Owner extends ClusterRef {
  readonly fleet: string;
  readonly host: string;
}

/** An object as it is written to the API. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: Kind;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly [field: string]: unknown;
}

const nameLengthMax = 63;
const hashLength = 12;
/** Of a volume; blueprints say nothing of it. */
const claimSpec = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '4Gi' } } };
export const digestAnnotation = 'cellar.digest';

/** One namespace for each incarnation: what is in it goes with it. */
export function namespaceOf({ fleet, host, ...ref }: Owner): string {
  const hash = createHash('sha256')
    .update(nameOf(fleet, host, ref))
    .digest('hex')
    .slice(0, hashLength);
  const plain = `cellar-${ref.cluster}-${ref.incarnation}`.toLowerCase().replace(/[^a-z0-9-]+/g, '-');
  return `${plain.slice(0, nameLengthMax - hashLength - 1)}-${hash}`;
}

/** What selects all of ours, or of one cluster. */
export function selectorOf(fleet: string, host: string, cluster?: string, incarnation?: number): string {
  const labels = labelsOf(fleet, host, { cluster: cluster ?? '', incarnation: incarnation ?? 0, member: '', digest: '' });
  return Object.entries(labels)
    .filter(
      ([name]) =>
        (cluster !== undefined || name !== 'cellar.cluster') && !(incarnation === undefined && /incarnation/.test(name)),
    )
    .map(([name, value]) => `${name}=${value}`)
    .join(',');
}

/** The namespace, and who may reach its pods: each other, and anybody what is published. Not every network of a cluster enforces it. */
export function namespaceManifests(owner: Owner): readonly Manifest[] {
  const labels = marks(owner);
  const namespace = namespaceOf(owner);
  return [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace, labels } },
    {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { name: 'cluster-only', namespace, labels },
      spec: { podSelector: {}, policyTypes: ['Ingress'], ingress: [{ from: [{ podSelector: {} }] }] },
    },
  ];
}

/** A member's files, names, and last of all its StatefulSet, whose being there says that it is whole. */
export function memberManifests(owner: Owner, member: PlannedMember): readonly Manifest[] {
  const labels = marks(owner, member.name);
  const namespace = namespaceOf(owner);
  const meta = (name: string) => ({ name, namespace, labels });
  const keyOf = (at: number): string => `file-${at}`;
  const files = member.files.map((file, at) => ({ ...file, key: keyOf(at) }));
  const [secret, plain] = [files.filter((file) => file.secret), files.filter((file) => !file.secret)];
  const dataOf = (some: typeof files) => Object.fromEntries(some.map(({ key, text }) => [key, text]));
  const published = member.ports.filter(({ hostPort }) => hostPort > 0);
  const portName = ({ port, isUdp }: { readonly port: number; readonly isUdp: boolean }): string =>
    `${isUdp ? 'udp' : 'tcp'}-${port}`;
  const selector = { 'cellar.member': member.name };
  const all: Manifest[] = [
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: meta(member.name),
      // Members look for each other before any of them is ready.
      spec: { clusterIP: 'None', selector, publishNotReadyAddresses: true },
    },
  ];
  if (published.length > 0) {
    all.push(
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: meta(`${member.name}-public`),
        spec: {
          type: 'NodePort',
          // It is reached on its own node, and sees who comes.
          externalTrafficPolicy: 'Local',
          publishNotReadyAddresses: true,
          selector,
          ports: published.map((one) => ({
            name: portName(one),
            protocol: one.isUdp ? 'UDP' : 'TCP',
            port: one.port,
            targetPort: one.port,
            nodePort: one.hostPort,
          })),
        },
      },
      {
        apiVersion: 'networking.k8s.io/v1',
        kind: 'NetworkPolicy',
        metadata: meta(`${member.name}-public`),
        spec: {
          podSelector: { matchLabels: selector },
          policyTypes: ['Ingress'],
          ingress: [{ ports: published.map(({ port, isUdp }) => ({ port, protocol: isUdp ? 'UDP' : 'TCP' })) }],
        },
      },
    );
  }
  if (plain.length > 0)
    all.push({ apiVersion: 'v1', kind: 'ConfigMap', metadata: meta(`${member.name}-files`), data: dataOf(plain) });
  if (secret.length > 0)
    all.push({ apiVersion: 'v1', kind: 'Secret', metadata: meta(`${member.name}-files`), stringData: dataOf(secret) });
  const itemsOf = (some: typeof files) =>
    some.map(({ key, secret: isSecret, executable }) => {
      const read = isSecret ? 0o400 : 0o444;
      return { key, path: key, mode: executable ? read | (read >> 2) : read };
    });
  const limits = {
    ...(member.memoryBytesMax > 0 ? { memory: String(member.memoryBytesMax) } : {}),
    ...(member.cpuMillisMax > 0 ? { cpu: `${member.cpuMillisMax}m` } : {}),
  };
  const probe = readinessProbe(member);
  const annotations = { [digestAnnotation]: memberDigest(member) };
  const container = {
    name: containerName,
    image: member.image,
    imagePullPolicy: 'IfNotPresent',
    command: member.command,
    env: Object.entries(member.environment).map(([name, value]) => ({ name, value })),
    ports: member.ports.map((one) => ({
      name: portName(one),
      containerPort: one.port,
      protocol: one.isUdp ? 'UDP' : 'TCP',
    })),
    resources: Object.keys(limits).length > 0 ? { limits } : {},
    securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
    volumeMounts: [
      ...member.volumes.map(({ name, path }) => ({ name, mountPath: path })),
      ...files.map(({ path, key, secret: isSecret }) => ({
        name: isSecret ? 'cellar-secrets' : 'cellar-files',
        mountPath: path,
        subPath: key,
        readOnly: true,
      })),
    ],
    ...(probe ? { readinessProbe: probe } : {}),
    ...(member.stopSignal === 'SIGTERM' ? {} : { lifecycle: { preStop: { exec: { command: stopCommand(member) } } } }),
  };
  all.push({
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { ...meta(member.name), annotations },
    spec: {
      replicas: 1,
      serviceName: member.name,
      podManagementPolicy: 'Parallel',
      selector: { matchLabels: selector },
      template: {
        metadata: { labels, annotations },
        spec: {
          automountServiceAccountToken: false,
          enableServiceLinks: false,
          // So that somebody buries what members leave behind, and members are ended by signals they say nothing about.
          shareProcessNamespace: true,
          securityContext: { seccompProfile: { type: 'RuntimeDefault' } },
          terminationGracePeriodSeconds: Math.max(1, Math.ceil(member.stopTimeoutMs / 1000)),
          affinity: {
            // Members of a cluster keep apart where they can, so that a node takes as few of them along as may be.
            podAntiAffinity: {
              preferredDuringSchedulingIgnoredDuringExecution: [
                {
                  weight: 100,
                  podAffinityTerm: {
                    topologyKey: 'kubernetes.io/hostname',
                    labelSelector: { matchExpressions: [{ key: 'cellar.member', operator: 'Exists' }] },
                  },
                },
              ],
            },
          },
          containers: [container],
          volumes: [
            ...(plain.length > 0
              ? [{ name: 'cellar-files', configMap: { name: `${member.name}-files`, items: itemsOf(plain) } }]
              : []),
            ...(secret.length > 0
              ? [{ name: 'cellar-secrets', secret: { secretName: `${member.name}-files`, items: itemsOf(secret) } }]
              : []),
          ],
        },
      },
      volumeClaimTemplates: member.volumes.map(({ name }) => ({ metadata: { name, labels }, spec: claimSpec })),
    },
  });
  return all;
}

/** As its StatefulSet makes it. */
export function claimManifest(owner: Owner, member: string, volume: string): Manifest {
  const metadata = { name: `${volume}-${member}-0`, namespace: namespaceOf(owner), labels: marks(owner, member) };
  return { apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata, spec: claimSpec };
}

const marks = (owner: Owner, member = ''): Record<string, string> =>
  labelsOf(owner.fleet, owner.host, { ...owner, member, digest: '' });

/** Kubernetes ends programs by SIGTERM or what their image says; any other signal is sent from inside, before. */
const stopCommand = ({ stopSignal }: PlannedMember): string[] => signalCommand(stopSignal);

/**
 * Signals a member from inside of its container, which needs a shell there. The first process of each container, and of each command that is run
 * in it, has no parent in the pod's process namespace; number 1 is Kubernetes' own. Source: proc_pid_stat(5).
 */
export const signalCommand = (signal: string): string[] => [
  'sh',
  '-c',
  'for stat in /proc/[0-9]*/stat; do read -r pid _ _ parent _ < $stat || continue; ' +
    `[ "$parent" = 0 ] && [ "$pid" != 1 ] && [ "$pid" != $$ ] && kill -s ${signal.replace(/^SIG/, '')} "$pid"; done; true`,
];

/** So that `kubectl` tells who is ready too. Kubernetes cannot ask by JSON-RPC: there a port that listens has to do. */
function readinessProbe({ ready, ports }: PlannedMember): object | undefined {
  const [question] = ready;
  const numberOf = (name: string): number | undefined => ports.find((port) => port.name === name)?.port;
  return question && probeOf(question, numberOf);
}

function probeOf({ http, tcp, jsonRpc, command }: Question, numberOf: (name: string) => number | undefined): object | undefined {
  const times = { periodSeconds: 2, timeoutSeconds: 5, failureThreshold: 3 };
  if (command) return { ...times, exec: { command } };
  const port = numberOf((http ?? tcp ?? jsonRpc)?.port ?? '');
  if (port === undefined) return undefined;
  // A status other than 200 to 399 cannot be asked for.
  if (http && http.status === undefined) return { ...times, httpGet: { port, path: http.path } };
  return { ...times, tcpSocket: { port } };
}
