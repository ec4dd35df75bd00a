import type { CliCommand } from './command.ts';
import { topics } from './topics.ts';

/** The reference of the command as Markdown, made from the command tree: `docs/cli.md`. */
export function cliReference(program: CliCommand): string {
  const commands = visible(program);
  return `${[
    '# The `cellar` command',
    '<!-- Made by scripts/cli-reference.ts from the command itself. Do not edit. -->',
    'Data goes to standard output, messages and progress to standard error; `--json` makes data JSON, as REST has it, and errors JSON on standard error. Every command shows its help with `--help`.',
    '## Options of every command',
    options(program),
    '## Commands',
    commands.map((command) => `- [\`${path(command)}\`](#${anchor(command)}): ${command.description()}`).join('\n'),
    ...commands.flatMap(section),
    ...Object.entries(topics).flatMap(([name, text]) => [`## ${title(name)}`, `\`cellar help ${name}\``, fence(text())]),
  ].join('\n\n')}\n`;
}

function section(command: CliCommand): string[] {
  const children = visible(command);
  if (children.length > 0) {
    const list = children.map((child) => `- [\`${path(child)}\`](#${anchor(child)}): ${child.description()}`).join('\n');
    return [`### ${path(command)}`, command.description(), list, ...children.flatMap(section)];
  }
  const help = command.createHelp();
  const args = help.visibleArguments(command);
  const aliases = command.aliases().map((alias) => `\`${alias}\``);
  return [
    `### ${path(command)}`,
    command.description() + (aliases.length > 0 ? ` Also: ${aliases.join(', ')}.` : ''),
    fence(`${path(command)} ${command.usage()}`.trim()),
    args.map((argument) => `- \`${help.argumentTerm(argument)}\`: ${help.argumentDescription(argument)}`).join('\n'),
    options(command),
    command.examples.length > 0 ? fence(command.examples.map(({ line, meaning }) => `# ${meaning}\n${line}`).join('\n')) : '',
  ].filter(Boolean);
}

function options(command: CliCommand): string {
  const help = command.createHelp();
  return help
    .visibleOptions(command)
    .filter(({ long }) => long !== '--help' || command.parent === null)
    .map((option) => `- \`${option.flags}\`: ${help.optionDescription(option)}`)
    .join('\n');
}

function visible(command: CliCommand): CliCommand[] {
  return command.createHelp().visibleCommands(command) as CliCommand[];
}

function path(command: CliCommand): string {
  return command.parent ? `${path(command.parent as CliCommand)} ${command.name()}` : command.name();
}

// As code hosts make anchors of headings.
const anchor = (command: CliCommand): string => path(command).replaceAll(' ', '-');
const title = (name: string): string => `${name.charAt(0).toUpperCase()}${name.slice(1).replaceAll('-', ' ')}`;
const fence = (text: string): string => `\`\`\`\n${text}\n\`\`\``;
