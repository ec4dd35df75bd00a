import type { CliCommand, CliContext } from '../command.ts';

export function register(program: CliCommand, context: CliContext): void {
  const machine = program
    .command('machine')
    .helpGroup('Running:')
    .description('Several machines that work as one.')
    .example('cellar machine add store1 10.0.0.3 > store1.pem', 'Let a second machine join');

  machine
    .command('add')
    .description('Make the certificate bundle another machine joins with. It is a secret: carry it there safely.')
    .argument('<name>', 'name of the machine, its setting machine.name')
    .argument('<host...>', 'names and addresses it is reached by')
    .completes('none')
    .option('-o, --out <file>', 'Write it to a file, with mode 0600; default: standard output.')
    .example('cellar machine add store1 10.0.0.3 --out store1.pem', 'Let a second machine join')
    .action(async (name: string, hosts: string[], options: { out?: string }) => {
      const { addMachine } = await import('../actions/machines.ts');
      await addMachine(context, name, hosts, options);
    });
}
