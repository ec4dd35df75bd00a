import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { toJson } from '@bufbuild/protobuf';
import {
  type Blueprint,
  BlueprintPlanSchema,
  BlueprintSchema,
  Blueprints,
  ValidateBlueprintResponseSchema,
} from '#gen/cellar/fleet/v1/blueprints_pb.ts';
import { invalidArgument } from '#kernel/fault.ts';
import type { CliContext } from '../command.ts';
import { Exit } from '../exit-codes.ts';
import { plural } from '../output/format.ts';
import type { Style } from '../output/style.ts';
import { formatFields, formatTable, printable } from '../output/table.ts';
import { parsePairs } from '../pairs.ts';
import { systemFault } from '../system-fault.ts';
import { client, show } from './support.ts';

export async function listBlueprints(context: CliContext): Promise<void> {
  const { blueprints } = await (await client(context, Blueprints)).listBlueprints({}, { signal: context.signal });
  context.output.table(
    blueprints,
    [
      { title: 'name', value: ({ name }) => name },
      { title: 'from', value: ({ builtIn }) => (builtIn ? 'built in' : 'added') },
      { title: 'runs on', value: ({ agents }) => agents.join(', ') },
      { title: 'parameters', value: ({ parameters }) => parameters.map(({ name }) => name).join(', ') },
      { title: 'description', value: ({ description, heavy }) => `${heavy ? '(heavy) ' : ''}${description}` },
    ],
    blueprints.map((blueprint) => toJson(BlueprintSchema, blueprint, { alwaysEmitImplicit: true })),
  );
}

export async function showBlueprint(context: CliContext, name: string, options: { text?: boolean }): Promise<void> {
  const { output, signal } = context;
  const blueprint = await (await client(context, Blueprints)).getBlueprint({ name }, { signal });
  show(context, BlueprintSchema, blueprint, () =>
    options.text ? blueprint.text.trimEnd() : describeBlueprint(blueprint, output.style),
  );
}

function describeBlueprint(blueprint: Blueprint, style: Style): string {
  const { name, description, builtIn, heavy, agents, digest, parameters } = blueprint;
  const fields = {
    name,
    description,
    from: builtIn ? 'built in' : 'added',
    'runs on': agents.join(', '),
    ...(heavy ? { heavy: 'needs more than a small machine has to spare' } : {}),
    digest,
  };
  const range = ({ min, max, choices }: Blueprint['parameters'][number]): string =>
    choices.length > 0 ? choices.join(', ') : min === undefined && max === undefined ? '' : `${min ?? ''} to ${max ?? ''}`;
  const table = formatTable(
    parameters,
    [
      { title: 'parameter', value: (parameter) => parameter.name },
      { title: 'type', value: ({ type }) => type },
      { title: 'default', value: ({ defaultValue }) => defaultValue },
      { title: 'allowed', value: range },
      { title: 'meaning', value: (parameter) => parameter.description },
    ],
    style,
  );
  return [formatFields(fields, style), ...(table === '' ? [] : ['', table])].join('\n');
}

/** All problems of a file, one a line; exits with 1 when there are some. */
export async function validateBlueprint(context: CliContext, file: string): Promise<void> {
  const { output, signal } = context;
  const blueprints = await client(context, Blueprints);
  const answer = await blueprints.validateBlueprint({ text: await readBlueprint(context, file) }, { signal });
  const { problems } = answer;
  if (problems.length > 0) context.exitCode = Exit.Failed;
  show(context, ValidateBlueprintResponseSchema, answer, () =>
    problems.map(({ line, column, message }) => `${printable(file)}:${line}:${column}: ${printable(message)}`).join('\n'),
  );
  output.message(problems.length > 0 ? `${plural(problems.length, 'problem')} in ${file}.` : `${file} is a blueprint.`);
}

export async function planBlueprint(context: CliContext, nameOrFile: string, words: readonly string[]): Promise<void> {
  const { output, signal } = context;
  const isFile = nameOrFile === '-' || /[./]/.test(nameOrFile);
  const parameters = parsePairs(words);
  const what = isFile ? { text: await readBlueprint(context, nameOrFile) } : { name: nameOrFile };
  const plan = await (await client(context, Blueprints)).planBlueprint({ ...what, parameters }, { signal });
  show(context, BlueprintPlanSchema, plan, () => {
    const given = Object.entries(plan.parameters).map(([name, value]) => `${name}=${value}`);
    const summary = { parameters: given.join(', ') || 'none', weight: String(plan.weight) };
    const members = plan.members.map((member) =>
      formatFields(
        {
          member: member.name,
          role: member.role,
          ...(member.image ? { image: member.image } : {}),
          command: member.command.join(' '),
          ...(member.ports.length > 0 ? { ports: member.ports.join(', ') } : {}),
          ...(member.volumes.length > 0 ? { volumes: member.volumes.join(', ') } : {}),
          ...(member.files.length > 0 ? { files: member.files.join(', ') } : {}),
          ...(member.after.length > 0 ? { after: member.after.join(', ') } : {}),
        },
        output.style,
      ),
    );
    return [formatFields(summary, output.style), ...members].join('\n\n');
  });
}

export async function addBlueprint(context: CliContext, file: string): Promise<void> {
  const { output, signal } = context;
  const content = await readBlueprint(context, file);
  const { parse } = await import('yaml');
  const blueprints = await client(context, Blueprints);
  const { problems } = await blueprints.validateBlueprint({ text: content }, { signal });
  if (problems.length > 0) {
    const violations = problems.map(({ line, column, message }) => ({ field: `${file}:${line}:${column}:`, message }));
    throw invalidArgument(`Cannot add ${file}: it has ${plural(problems.length, 'problem')}`, { violations });
  }
  const name = String((parse(content) as { name?: unknown }).name);
  const blueprint = await blueprints.putBlueprint({ name, text: content }, { signal });
  output.message(`Added blueprint ${name}. Clusters that were made from an older text keep it.`);
  if (output.isJson) show(context, BlueprintSchema, blueprint, () => '');
}

export async function deleteBlueprint(context: CliContext, name: string, { yes }: { yes?: boolean }): Promise<void> {
  const blueprints = await client(context, Blueprints);
  await blueprints.getBlueprint({ name }, { signal: context.signal });
  await context.confirm(`Delete blueprint ${name}?`, yes);
  await blueprints.deleteBlueprint({ name }, { signal: context.signal });
  context.output.message(`Deleted blueprint ${name}.`);
}

async function readBlueprint({ input }: CliContext, file: string): Promise<string> {
  if (file === '-') {
    if (input.isTTY) throw invalidArgument('Cannot read the blueprint: nothing is piped in');
    return await text(input);
  }
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw systemFault('read the blueprint', file, error);
  }
}
