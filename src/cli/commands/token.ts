import type { CliCommand } from '../command.ts';
export function register(program: CliCommand): void {
  program.command('token');
}
