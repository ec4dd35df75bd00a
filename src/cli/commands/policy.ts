import type { CliCommand, CliContext } from '../command.ts';

export function register(program: CliCommand, context: CliContext): void {
  const policy = program
    .command('policy')
    .helpGroup('People and access:')
    .description('Rules that say who may do what. What no rule allows is denied.')
    .example('cellar policy test ada data:read data/docs/report.pdf', 'May ada read this file?');
  const actions = () => import('../actions/policies.ts');

  policy
    .command('list')
    .alias('ls')
    .description('List policies.')
    .completes('none')
    .example('cellar policy list', 'All policies')
    .action(async () => (await actions()).listPolicies(context));
  policy
    .command('show')
    .description('Show the text of a policy.')
    .argument('<id>', 'policy')
    .completes('policy', 'none')
    .example('cellar policy show users > users.cedar', 'Save one to a file')
    .action(async (id: string) => (await actions()).showPolicy(context, id));
  policy
    .command('set')
    .description('Make or replace a policy. It is in force when this returns.')
    .argument('<id>', 'lower-case letters, digits and dashes')
    .argument('[file]', 'Cedar text; "-" or absent: standard input', '-')
    .completes('policy', 'local-path', 'none')
    .option('--description <text>', 'One sentence for people.')
    .option('--etag <etag>', 'Replace only when the stored one still has this ETag.')
    .example('cellar policy set readers readers.cedar', 'From a file')
    .action(async (id: string, file: string, options: { description?: string; etag?: string }) =>
      (await actions()).setPolicy(context, id, file, options),
    );
  policy
    .command('remove')
    .alias('rm')
    .description('Delete a policy.')
    .argument('<id>', 'policy')
    .completes('policy', 'none')
    .option('-y, --yes', 'Do not ask.')
    .example('cellar policy remove readers', 'Delete a policy')
    .action(async (id: string, options: { yes?: boolean }) => (await actions()).removePolicy(context, id, options));
  policy
    .command('test')
    .description('Say whether a user may do something, and why. Exits with 4 when not.')
    .argument('<user>', 'user')
    .argument('<action>', 'such as data:read')
    .argument('<resource>', 'such as data/docs/report.pdf')
    .completes('user', 'none')
    .example('cellar policy test ada data:write data/docs', 'May ada write there?')
    .action(async (user: string, action: string, resource: string) =>
      (await actions()).testPolicies(context, { user, action, resource }),
    );
}
