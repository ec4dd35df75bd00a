import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { toJson } from '@bufbuild/protobuf';
import { DecisionSchema, Policies, type Policy, PolicySchema } from '#gen/cellar/identity/v1/policies_pb.ts';
import { invalidArgument } from '#kernel/fault.ts';
import type { CliContext } from '../command.ts';
import { Exit } from '../exit-codes.ts';
import { formatAge } from '../output/format.ts';
import { systemFault } from '../system-fault.ts';
import { client, show } from './support.ts';

export async function listPolicies(context: CliContext): Promise<void> {
  const policies = await client(context, Policies);
  const found: Policy[] = [];
  let pageToken = '';
  do {
    const answer = await policies.browsePolicies({ pageSize: 1000, pageToken }, { signal: context.signal });
    found.push(...answer.policies);
    pageToken = answer.nextPageToken;
  } while (pageToken);
  context.output.table(
    found,
    [
      { title: 'id', value: ({ id }) => id },
      { title: 'changed', value: ({ updateTime }) => formatAge(updateTime, Date.now()) },
      { title: 'description', value: ({ description }) => description },
    ],
    found.map((policy) => toJson(PolicySchema, policy, { alwaysEmitImplicit: true })),
  );
}

export async function showPolicy(context: CliContext, id: string): Promise<void> {
  const policy = await (await client(context, Policies)).showPolicy({ id }, { signal: context.signal });
  show(context, PolicySchema, policy, () => policy.text.trimEnd());
}

export async function setPolicy(
  context: CliContext,
  id: string,
  file: string,
  options: { description?: string; etag?: string },
): Promise<void> {
  const content = await readText(context, file);
  const policies = await client(context, Policies);
  const policy = await policies.setPolicy(
    { policy: { id, text: content, description: options.description ?? '', etag: options.etag ?? '' } },
    { signal: context.signal },
  );
  context.output.message(`Set the policy ${id}; it is in force.`);
  if (context.output.isJson) show(context, PolicySchema, policy, () => '');
}

export async function removePolicy(context: CliContext, id: string, options: { yes?: boolean }): Promise<void> {
  const policies = await client(context, Policies);
  const { etag } = await policies.showPolicy({ id }, { signal: context.signal });
  await context.confirm(`Delete the policy ${id}? What only it allows is denied from then on.`, options.yes);
  await policies.removePolicy({ id, etag }, { signal: context.signal });
  context.output.message(`Deleted the policy ${id}.`);
}

export async function testPolicies(
  context: CliContext,
  request: { user: string; action: string; resource: string },
): Promise<void> {
  const { output } = context;
  const decision = await (await client(context, Policies)).testPolicies(request, { signal: context.signal });
  if (!decision.allowed) context.exitCode = Exit.Denied;
  show(context, DecisionSchema, decision, () =>
    [
      decision.allowed ? output.style.green('allowed') : output.style.red('denied'),
      decision.explanation,
      decision.policies.length > 0 ? `Decided by: ${decision.policies.join(', ')}` : '',
    ]
      .filter(Boolean)
      .join('\n'),
  );
}

async function readText(context: CliContext, file: string): Promise<string> {
  if (file !== '-') {
    try {
      return await readFile(file, 'utf8');
    } catch (error) {
      throw systemFault('read the policy', file, error);
    }
  }
  if (context.input.isTTY) throw invalidArgument('Cannot set the policy: no file was named, and nothing is piped in');
  return await text(context.input);
}
