import { Exit } from './exit-codes.ts';
import { runCli } from './run.ts';

// A reader that ends early (`cellar ls | head`) is no error to tell about.
process.stdout.on('error', (error: NodeJS.ErrnoException) =>
  process.exit(error.code === 'EPIPE' ? Exit.BrokenPipe : Exit.Failed),
);

// A server that was left in the background has nobody to talk to any more; its log goes on.
process.stderr.on('error', () => undefined);

const controller = new AbortController();
let interruption: Exit | undefined;
for (const [signal, exit] of [
  ['SIGINT', Exit.Interrupted],
  ['SIGTERM', Exit.Terminated],
] as const) {
  process.on(signal, () => {
    if (interruption !== undefined) process.exit(exit);
    interruption = exit;
    controller.abort();
  });
}

const exitCode = await runCli(process.argv.slice(2), {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  signal: controller.signal,
  interruption: () => interruption,
});
// What is written to a pipe may still be on its way; after that nothing is worth waiting for.
await Promise.all([process.stdout, process.stderr].map((stream) => new Promise((done) => stream.write('', done))));
process.exit(exitCode);
