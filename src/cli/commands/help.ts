import { invalidArgument } from '#kernel/fault.ts';
import type { CliCommand, CliContext } from '../command.ts';

export function register(program: CliCommand, context: CliContext): void {
  program
    .command('help')
    .helpGroup('Help:')
    .description('Show help of a command, or of a topic: exit-codes, environment, paths.')
    .argument('[word...]', 'a command or a topic')
    .example('cellar help datasource add', 'Help of a command')
    .example('cellar help exit-codes', 'What the exit codes mean')
    .action(async (words: string[]) => {
      const { topics } = await import('../topics.ts');
      const topic = topics[words.join(' ')];
      if (topic) {
        context.output.result({ topic: words.join(' '), text: topic() }, topic);
        return;
      }
      let command = program;
      for (const word of words) {
        const child = command.commands.find((candidate) => candidate.name() === word || candidate.aliases().includes(word));
        if (!child) {
          throw invalidArgument(`No help on "${words.join(' ')}": there is no such command or topic`, {
            hint: `Topics are ${Object.keys(topics).join(', ')}; "cellar help" lists the commands.`,
          });
        }
        command = child as CliCommand;
      }
      command.outputHelp();
    });
}
