import type { Ability } from '../../driver/driver.ts';
import { KubeApi, type KubeObject } from '../kubernetes/api.ts';
import { readConfig } from '../kubernetes/make-driver.ts';
import type { TestImage } from './test-images.ts';

/**
 * Why no Kubernetes is tested with, or undefined. No cluster can be made of packages alone, so none is started here, under CI neither: it takes
 * one that somebody offers.
 */
export const kubernetesMissing = (): string | undefined =>
  process.env['KUBECONFIG']
    ? undefined
    : 'needs a Kubernetes cluster that may be used for tests; enable with: KUBECONFIG=/path/to/kubeconfig npm test -- src/fleet ' +
      '(its nodes have to get "busybox:1" and the images of the blueprints, or PREFIXbusybox:1, PREFIXlitecoin:1 and so on, with ' +
      'CELLAR_TEST_IMAGES=PREFIX)';

/** An image of a program; `undefined`: the one its blueprint names. */
export function testImage(name: TestImage): string | undefined {
  const prefix = process.env['CELLAR_TEST_IMAGES'];
  return prefix === undefined ? undefined : `${prefix}${name}:1`;
}

export interface TestKubernetes {
  readonly abilities: readonly Ability[];
  readonly image: string;
  /** One that Kubernetes publishes and nobody has yet. */
  port(): Promise<number>;
}

const ports = { first: 30_000, last: 32_767 };
const patienceMs = 10_000;
let next = ports.first + (process.pid % 2000);

export async function openKubernetes(skip: string | undefined): Promise<TestKubernetes> {
  const image = testImage('busybox') ?? 'busybox:1';
  if (skip) return { abilities: [], image, port: async () => 0 };
  const api = new KubeApi(await readConfig('', '', ''));
  const signal = (): AbortSignal => AbortSignal.timeout(patienceMs);
  const { groups } = await api.get<{ readonly groups: readonly { readonly name: string }[] }>('/apis', signal());
  const hasMetrics = groups.some(({ name }) => name === 'metrics.k8s.io');
  return {
    abilities: ['exec', 'limits', 'snapshot', ...(hasMetrics ? (['stats'] as const) : [])],
    image,
    async port() {
      interface ServiceView extends KubeObject {
        readonly spec: { readonly ports?: readonly { readonly nodePort?: number }[] };
      }
      const { items } = await api.list<ServiceView>('Service', '', {}, signal());
      const taken = new Set(items.flatMap(({ spec }) => spec.ports?.map(({ nodePort }) => nodePort) ?? []));
      do next = next >= ports.last ? ports.first : next + 1;
      while (taken.has(next));
      return next;
    },
  };
}
