import { runFork } from '#platform/run-fork.ts';
import { catalogue } from './catalogue.ts';

// What the main process runs for each service with a process of its own: `cellar start --fork NAME`, without the rest of the command.
runFork(process.argv.at(-1) ?? '', catalogue);
