import { driverSuite } from '../testing/driver.suite.ts';
import { kubernetesMissing, openKubernetes } from '../testing/kubernetes.ts';
import { KubeApi } from './api.ts';
import { createKubernetesDriver } from './driver.ts';
import { readConfig } from './make-driver.ts';

const skip = kubernetesMissing();

driverSuite({
  type: 'kubernetes',
  skip,
  // What pods use is known where metrics-server is.
  abilities: (await openKubernetes(skip)).abilities,
  lacks: ['processes'],
  // Pods take their time to go.
  patienceMs: 180_000,
  missingReason: 'image_missing',
  async open() {
    const { image, port } = await openKubernetes(skip);
    const config = await readConfig('', '', '');
    return {
      image,
      port,
      driverOf: async (fleet) => createKubernetesDriver({ api: new KubeApi(config), host: 'here', fleet }),
    };
  },
});
