import type { CliCommand, CliContext } from '../command.ts';

export function register(program: CliCommand, context: CliContext): void {
  program
    .command('stat')
    .helpGroup('Files:')
    .description('Show one file or folder.')
    .argument('<path...>', 'remote path')
    .completes('remote-path')
    .example('cellar stat docs/report.pdf', 'Its size, time, id and ETag')
    .action(async (paths: string[]) => {
      const { statFiles } = await import('../actions/stat-files.ts');
      await statFiles(context, paths);
    });
}
