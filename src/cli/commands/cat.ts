import type { CliCommand, CliContext } from '../command.ts';

export function register(program: CliCommand, context: CliContext): void {
  program
    .command('cat')
    .helpGroup('Files:')
    .description('Write files to standard output, one after the other.')
    .argument('<path...>', 'remote path')
    .completes('remote-path')
    .example('cellar cat docs/notes.txt | less', 'Read a file')
    .action(async (paths: string[]) => {
      const { printFiles } = await import('../actions/print-files.ts');
      await printFiles(context, paths);
    });
}
