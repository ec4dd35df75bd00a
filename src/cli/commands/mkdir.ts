import type { CliCommand, CliContext } from '../command.ts';

export function register(program: CliCommand, context: CliContext): void {
  program
    .command('mkdir')
    .helpGroup('Files:')
    .description('Make folders.')
    .argument('<path...>', 'remote path')
    .completes('remote-path')
    .option('-p, --parents', 'Make missing parents too, and accept folders that exist.')
    .example('cellar mkdir -p docs/2026/reports', 'Make a folder and its parents')
    .action(async (paths: string[], options: { parents?: boolean }) => {
      const { makeFolders } = await import('../actions/make-folders.ts');
      await makeFolders(context, paths, options);
    });
}
