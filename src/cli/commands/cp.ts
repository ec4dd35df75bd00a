import { InvalidArgumentError } from 'commander';
import type { CopyOptions } from '../actions/copy-files.ts';
import type { CliCommand, CliContext } from '../command.ts';

export function register(program: CliCommand, context: CliContext): void {
  program
    .command('cp')
    .helpGroup('Files:')
    .description('Copy to, from and within the server. Remote paths begin with "cellar:"; "-" is standard input or output.')
    .argument('<path...>', 'one or more sources, then the target')
    .completes('path')
    .option('-r, --recursive', 'Folders with everything in them.')
    .option('-n, --no-clobber', 'Leave files that exist as they are.')
    .option('-p, --preserve', 'Give downloaded files the time of change they have on the server.')
    .option('--parallel <count>', 'How many files at a time, 1 to 64.', parseParallel, 8)
    .example('cellar cp report.pdf cellar:docs/', 'Upload a file')
    .example('cellar cp -r cellar:docs/photos .', 'Download a folder')
    .example('cellar cp cellar:docs/a.txt cellar:docs/b.txt', 'Copy on the server')
    .example('pg_dump db | cellar cp - cellar:backup/db.sql', 'Upload what a program prints')
    .action(async (paths: string[], options: CopyOptions) => {
      const { copyFiles } = await import('../actions/copy-files.ts');
      await copyFiles(context, paths, options);
    });
}

function parseParallel(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1 || count > 64)
    throw new InvalidArgumentError('It must be a whole number from 1 to 64.');
  return count;
}
