import { join } from 'node:path';
import { Fault } from '#kernel/fault.ts';
import { runMain } from '../run-main.ts';
import { puppetCatalogue } from './puppet-catalogue.ts';

// A platform of puppets in a process of its own: `puppet-main.ts HOME`. Says `ready`, or why not, on stdout.
const stopping = new AbortController();
process.on('SIGTERM', () => stopping.abort());
try {
  const main = await runMain({
    home: process.argv[2] ?? '',
    catalogue: puppetCatalogue,
    environment: process.env,
    flags: [],
    isForked: true,
    forkScript: join(import.meta.dirname, 'puppet-fork.ts'),
    signal: stopping.signal,
  });
  process.stdout.write('ready\n');
  stopping.signal.addEventListener('abort', () => void main.stop().then(() => process.exit(0)));
} catch (error) {
  process.stdout.write(`${Fault.from(error).message}\n`);
  process.exit(1);
}
