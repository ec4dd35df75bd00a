import type { CliCommand, CliContext } from '../command.ts';

export function register(program: CliCommand, context: CliContext): void {
  program
    .command('mv')
    .helpGroup('Files:')
    .description('Move or rename on the server. Into the target when that is a folder.')
    .argument('<path...>', 'one or more remote sources, then the remote target')
    .completes('remote-path')
    .option('-f, --force', 'Replace a file that is in the way.')
    .example('cellar mv docs/draft.txt docs/final.txt', 'Rename a file')
    .example('cellar mv docs/a.txt docs/b.txt archive/', 'Move files into a folder')
    .action(async (paths: string[], options: { force?: boolean }) => {
      const { moveFiles } = await import('../actions/move-files.ts');
      await moveFiles(context, paths, options);
    });
}
