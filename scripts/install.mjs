// Installs the project's dependencies when they are missing or older than the lock file, saying what it does.
// Plain JavaScript: it runs on the Node found on PATH (20 or newer), before the pinned one is there.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export const root = join(import.meta.dirname, '..');
const modules = join(root, 'node_modules');

/** Path of the pinned Node's binary. */
export function node26() {
  return join(modules, 'node', 'bin', 'node');
}

/**
 * @param {{ dev: boolean }} options with `dev`, also what tests, checks and benchmarks need
 */
export function installIfNeeded({ dev: isDevWanted }) {
  const major = Number(process.versions.node.split('.')[0]);
  if (major < 20) fail(`Cannot install Cellar: this is Node ${process.versions.node}, and Node 20 or newer is needed.`);
  const stamp = join(modules, '.cellar-installed');
  const wanted = createHash('sha256')
    .update(readFileSync(join(root, 'package.json')))
    .digest('hex');
  const [seen, kind] = existsSync(stamp) ? readFileSync(stamp, 'utf8').split(' ') : [];
  // Where somebody develops, starting Cellar must not take the tools away again.
  const dev = isDevWanted || kind === 'all' || existsSync(join(modules, 'typescript'));
  if (seen === wanted && (kind === 'all' || !dev) && existsSync(node26())) return;
  const what = dev ? 'everything tests and checks need (about 600 MB)' : 'what Cellar needs to run (about 250 MB)';
  console.error(`Installing ${what} into node_modules, once. This takes half a minute or so.`);
  const started = Date.now();
  const args = ['install', '--no-audit', '--no-fund', '--loglevel=error', ...(dev ? ['--include=dev'] : ['--omit=dev'])];
  const lock = join(root, 'package-lock.json');
  const lockBefore = existsSync(lock) ? readFileSync(lock) : undefined;
  const result = spawnSync('npm', args, { cwd: root, stdio: ['ignore', 2, 2] });
  // npm completes the lock file with other platforms' packages; a user's clone stays as it was.
  if (lockBefore) writeFileSync(lock, lockBefore);
  if (result.status !== 0) fail('Cannot install: "npm install" failed; its messages are above. Run the same command again.');
  if (!existsSync(node26())) {
    fail(
      'Cannot find the pinned Node after installing: install scripts may be switched off. Run "npm rebuild node", then try again.',
    );
  }
  writeFileSync(stamp, `${wanted} ${dev ? 'all' : 'run'}`);
  console.error(`Installed in ${Math.round((Date.now() - started) / 1000)} s.`);
}

function fail(message) {
  console.error(message);
  process.exit(1);
}

if (process.argv[1] === import.meta.filename) installIfNeeded({ dev: process.argv.includes('--dev') });
