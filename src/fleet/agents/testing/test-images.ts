import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import type Docker from 'dockerode';
import { fabricFiles, fabricRelease } from './fabric-release.ts';

/** Programs of this machine that images are made of, by the images' names. */
const programs = {
  busybox: [],
  litecoin: ['/usr/lib/litecoin/litecoind', '/usr/bin/litecoin-cli'],
  etcd: ['/usr/bin/etcd'],
  nats: ['/usr/sbin/nats-server'],
  anvil: ['anvil'],
  fabric: fabricFiles.programs,
} as const;

export type TestImage = keyof typeof programs;

/** Why an image cannot be made here, or undefined; under CI that is an error. */
export function imageMissing(...images: readonly TestImage[]): string | undefined {
  const lost = ['/bin/busybox', ...images.flatMap((image) => [...programs[image]])].filter((path) => !existsSync(pathOf(path)));
  if (lost.length === 0) return undefined;
  const reason = `${lost.join(', ')} not here; enable with: apt-get install busybox-static litecoind etcd-server nats-server`;
  if (process.env['CI']) throw new Error(reason);
  return reason;
}

function pathOf(program: string): string {
  if (fabricFiles.programs.includes(program)) return join(fabricRelease() ?? '/nowhere', program);
  if (program !== 'anvil') return program;
  try {
    const name = `@foundry-rs/anvil-${process.platform}-${process.arch === 'x64' ? 'amd64' : process.arch}`;
    const require = createRequire(createRequire(import.meta.url).resolve('@foundry-rs/anvil/package.json'));
    return join(dirname(require.resolve(`${name}/package.json`)), 'bin', 'anvil');
  } catch {
    return '/nowhere/anvil'; // It is optional.
  }
}

/**
 * Makes an image of programs of this machine, what they are linked with, and a shell. Result: its name, `<prefix><image>:1`. A swarm asks an
 * image's registry each time, so `prefix` should name one that answers or refuses at once.
 */
export async function importImage(docker: Docker, image: TestImage, prefix = 'cellar-test/'): Promise<string> {
  const root = mkdtempSync(join(tmpdir(), 'cellar-image-'));
  try {
    for (const folder of ['bin', 'tmp', 'etc', 'root']) mkdirSync(join(root, folder));
    add(root, '/bin/busybox');
    for (const applet of spawnSync('/bin/busybox', ['--list'], { encoding: 'utf8' }).stdout.split('\n').filter(Boolean))
      if (applet !== 'busybox') symlinkSync('busybox', join(root, 'bin', applet));
    for (const program of programs[image]) add(root, pathOf(program));
    if (image === 'fabric') addFabric(root, fabricRelease() ?? '');
    chmodSync(join(root, 'tmp'), 0o1777);
    const archive = `${root}.tar`;
    const { status, stderr } = spawnSync('tar', ['-C', root, '-cf', archive, '.'], { encoding: 'utf8' });
    if (status !== 0) throw new Error(stderr);
    const progress = await docker.importImage(archive, { repo: `${prefix}${image}`, tag: '1' });
    await new Promise<void>((resolve, reject) =>
      docker.modem.followProgress(progress, (error) => (error ? reject(error) : resolve())),
    );
    rmSync(archive);
    return `${prefix}${image}:1`;
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

/** A program in `/bin`, with its libraries where the loader looks for them. */
function add(root: string, program: string): void {
  copyFileSync(realpathSync(program), join(root, 'bin', basename(program)));
  chmodSync(join(root, 'bin', basename(program)), 0o755);
  const { stdout } = spawnSync('ldd', [program], { encoding: 'utf8' });
  for (const [path] of stdout.matchAll(/\/\S+\.so\S*/g)) {
    const target = join(root, path);
    mkdirSync(dirname(target), { recursive: true });
    if (!existsSync(target)) copyFileSync(realpathSync(path), target);
  }
}

/** Where the release's own images have what is beside their programs. */
function addFabric(root: string, release: string): void {
  const places = {
    'etc/hyperledger/fabric': fabricFiles.configuration,
    'opt/hyperledger/ccaas_builder/bin': fabricFiles.builder,
  };
  for (const [folder, paths] of Object.entries(places)) {
    mkdirSync(join(root, folder), { recursive: true });
    for (const path of paths) copyFileSync(join(release, path), join(root, folder, basename(path)));
  }
}
