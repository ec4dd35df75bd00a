import type { CliCommand, CliContext } from '../command.ts';

export function register(program: CliCommand, context: CliContext): void {
  program
    .command('rm')
    .helpGroup('Files:')
    .description('Delete files, with -r folders too. At a terminal it asks before a folder that is not empty.')
    .argument('<path...>', 'remote path')
    .completes('remote-path')
    .option('-r, --recursive', 'Folders with everything in them.')
    .option('-f, --force', 'Say nothing of what does not exist.')
    .option('-y, --yes', 'Do not ask.')
    .example('cellar rm docs/old.txt', 'Delete a file')
    .example('cellar rm -r docs/2019', 'Delete a folder')
    .action(async (paths: string[], options: { recursive?: boolean; force?: boolean; yes?: boolean }) => {
      const { removeFiles } = await import('../actions/remove-files.ts');
      await removeFiles(context, paths, options);
    });
}
