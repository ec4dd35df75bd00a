import { Argument } from 'commander';
import type { CliCommand, CliContext } from '../command.ts';
import type { Shell } from '../completion/complete.ts';

export function register(program: CliCommand, context: CliContext): void {
  program
    .command('completion')
    .helpGroup('Help:')
    .description('Print what makes Tab complete commands, options, remote paths and names in your shell.')
    .addArgument(new Argument('<shell>').choices(['bash', 'zsh', 'fish']))
    .example('source <(cellar completion bash)', 'For this shell; put it into ~/.bashrc for all')
    .example('cellar completion fish > ~/.config/fish/completions/cellar.fish', 'For fish')
    .action(async (shell: Shell) => {
      const { completionScripts } = await import('../completion/scripts.ts');
      await context.output.write(completionScripts[shell]);
    });
  program
    .command('__complete', { hidden: true })
    .addArgument(new Argument('<shell>').choices(['bash', 'zsh', 'fish']))
    .argument('<line>', 'the line up to the cursor')
    .action(async (shell: Shell, line: string) => {
      const { complete } = await import('../completion/complete.ts');
      await complete(program, context, shell, line);
    });
}
