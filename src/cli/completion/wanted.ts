import type { Option } from 'commander';
import type { CliCommand, Completion } from '../command.ts';

export interface Candidate {
  readonly value: string;
  readonly description: string;
}

/** What may stand where the cursor is. */
export type Wanted =
  | { readonly kind: 'candidates'; readonly candidates: readonly Candidate[] }
  | { readonly kind: 'lookup'; readonly completion: Completion };

/** What a command line means so far. `globals` are the options of every command seen in it, by their names in TypeScript. */
export interface Reading {
  readonly wanted: Wanted;
  readonly globals: Readonly<Record<string, string>>;
}

const optionValues: Readonly<Record<string, Completion>> = {
  home: 'local-path',
  tokenFile: 'local-path',
  as: 'user',
  config: 'local-path',
};

/** Reads the words after `cellar`; the last is the one being written, empty when it has not begun. */
export function readLine(program: CliCommand, words: readonly string[]): Reading {
  const current = words.at(-1) ?? '';
  const globals: Record<string, string> = {};
  let command = program;
  let argumentAt = 0;
  let pending: Option | undefined;
  let hasDashes = false;
  for (const word of words.slice(0, -1)) {
    if (pending) {
      globals[pending.attributeName()] = word;
      pending = undefined;
    } else if (!hasDashes && word === '--') {
      hasDashes = true;
    } else if (!hasDashes && word.startsWith('-') && word !== '-') {
      const [flag = '', value] = word.split(/=(.*)/s, 2);
      const option = optionsOf(program, command).find((each) => each.short === flag || each.long === flag);
      if (option?.required && value === undefined) pending = option;
      else if (option && value !== undefined) globals[option.attributeName()] = value;
    } else {
      const child = argumentAt === 0 ? childOf(command, word) : undefined;
      if (child) command = child;
      else argumentAt++;
    }
  }
  return { wanted: wantedAt(program, command, { current, argumentAt, pending, hasDashes }), globals };
}

function wantedAt(
  program: CliCommand,
  command: CliCommand,
  at: { current: string; argumentAt: number; pending: Option | undefined; hasDashes: boolean },
): Wanted {
  if (at.pending) return valueWanted(command, at.pending);
  if (!at.hasDashes && at.current.startsWith('-')) {
    return {
      kind: 'candidates',
      candidates: optionsOf(program, command)
        .filter(({ hidden }) => !hidden)
        .map(({ long, short, description }) => ({ value: long ?? short ?? '', description })),
    };
  }
  if (command.commands.length > 0 && at.argumentAt === 0) {
    return {
      kind: 'candidates',
      candidates: command
        .createHelp()
        .visibleCommands(command)
        .map((child) => ({ value: child.name(), description: child.description() })),
    };
  }
  const choices = command.registeredArguments[at.argumentAt]?.argChoices;
  if (choices) return { kind: 'candidates', candidates: choices.map((value) => ({ value, description: '' })) };
  const { completions } = command;
  return { kind: 'lookup', completion: completions[Math.min(at.argumentAt, completions.length - 1)] ?? 'none' };
}

function valueWanted(command: CliCommand, option: Option): Wanted {
  if (option.argChoices) {
    return { kind: 'candidates', candidates: option.argChoices.map((value) => ({ value, description: '' })) };
  }
  const name = option.attributeName();
  return { kind: 'lookup', completion: command.optionCompletions[name] ?? optionValues[name] ?? 'none' };
}

function optionsOf(program: CliCommand, command: CliCommand): readonly Option[] {
  return [...command.createHelp().visibleOptions(command), ...(command === program ? [] : program.options)];
}

function childOf(command: CliCommand, word: string): CliCommand | undefined {
  return (command.commands as CliCommand[]).find((child) => child.name() === word || child.aliases().includes(word));
}
