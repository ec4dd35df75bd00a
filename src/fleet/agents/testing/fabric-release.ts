import { spawnSync } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { join } from 'node:path';

/** Of a release of Hyperledger Fabric, what a channel needs, below the folder it was unpacked in. */
export const fabricFiles = {
  programs: ['bin/orderer', 'bin/peer', 'bin/osnadmin', 'bin/configtxgen'] as readonly string[],
  configuration: ['config/core.yaml', 'config/orderer.yaml'],
  builder: ['detect', 'build', 'release'].map((program) => `builders/ccaas/bin/${program}`),
};

/** The folder of the release whose programs are on the PATH; undefined when there is none. */
export function fabricRelease(): string | undefined {
  const peer = spawnSync('sh', ['-c', 'command -v peer'], { encoding: 'utf8' }).stdout.trim();
  if (peer === '') return undefined;
  const folder = join(realpathSync(peer), '..', '..');
  return Object.values(fabricFiles).every((paths) => paths.every((path) => existsSync(join(folder, path)))) ? folder : undefined;
}

/** Why no channel can be run here, or undefined. No package has the programs, so they are not asked for under CI either. */
export const fabricMissing = (): string | undefined =>
  fabricRelease() === undefined
    ? 'no release of Hyperledger Fabric here; enable with: unpack hyperledger-fabric-linux-amd64-3.1.5.tar.gz in /srv/fabric, and PATH=/srv/fabric/bin:$PATH npm test -- src/fleet/chains-process src/fleet/docker.test.ts'
    : undefined;
