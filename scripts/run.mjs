// Runs a script of this project under the Node it pins, installing what is missing first. Works from Node 20 on.
import { spawn } from 'node:child_process';
import { installIfNeeded, node26, root } from './install.mjs';

const [script, ...args] = process.argv.slice(2);
if (!script) {
  console.error('usage: node scripts/run.mjs SCRIPT [ARGS]');
  process.exit(2);
}
installIfNeeded({ dev: true });
const child = spawn(node26(), [script, ...args], { cwd: root, stdio: 'inherit' });
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
child.on('exit', (code, signal) => process.exit(signal ? 1 : (code ?? 1)));
