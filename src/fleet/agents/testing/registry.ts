import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type Docker from 'dockerode';
import { freePort, until } from '#kernel/testing/engines.ts';

/** Why no registry can be started here, or undefined; under CI that is an error. */
export function registryMissing(): string | undefined {
  if (!spawnSync('docker-registry', ['--version']).error) return undefined;
  const reason = 'docker-registry is not on the PATH; enable with: apt-get install docker-registry';
  if (process.env['CI']) throw new Error(reason);
  return reason;
}

/** A real registry on loopback, which engines use without TLS. */
export interface TestRegistry extends AsyncDisposable {
  /** `127.0.0.1:port`. */
  readonly name: string;
  /** Puts an image of an engine into the registry, and takes it away from the engine. Result: its name there. */
  push(docker: Docker, image: string): Promise<string>;
}

export async function startRegistry(): Promise<TestRegistry> {
  const folder = mkdtempSync(join(tmpdir(), 'cellar-registry-'));
  const port = await freePort();
  const name = `127.0.0.1:${port}`;
  const config = { version: 0.1, storage: { filesystem: { rootdirectory: join(folder, 'data') } }, http: { addr: name } };
  writeFileSync(join(folder, 'config.yml'), JSON.stringify(config));
  const child: ChildProcess = spawn('docker-registry', ['serve', join(folder, 'config.yml')], { stdio: 'ignore' });
  await until(async () => (await fetch(`http://${name}/v2/`).catch(() => undefined))?.ok === true, 20_000);
  return {
    name,
    async push(docker, image) {
      const [repo = '', tag = 'latest'] = image.split(':');
      await docker.getImage(image).tag({ repo: `${name}/${repo}`, tag });
      const there = `${name}/${repo}:${tag}`;
      const progress = await docker.getImage(there).push({ authconfig: { username: '', password: '', serveraddress: name } });
      await new Promise<void>((resolve, reject) =>
        docker.modem.followProgress(progress, (error) => (error ? reject(error) : resolve())),
      );
      for (const one of [there, image]) await docker.getImage(one).remove();
      return there;
    },
    async [Symbol.asyncDispose]() {
      const exited = once(child, 'exit');
      child.kill('SIGTERM');
      await exited;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
