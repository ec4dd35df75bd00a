import { toJson } from '@bufbuild/protobuf';
import { Sessions } from '#gen/cellar/identity/v1/credentials_pb.ts';
import { type User, UserSchema, Users } from '#gen/cellar/identity/v1/users_pb.ts';
import { Role, RoleSchema } from '#gen/cellar/kernel/v1/options_pb.ts';
import { Code, Fault, invalidArgument } from '#kernel/fault.ts';
import type { CliContext } from '../command.ts';
import { enumWord, formatAge } from '../output/format.ts';
import { formatFields } from '../output/table.ts';
import { ask } from '../prompt.ts';
import { client, show } from './support.ts';

export async function addUser(
  context: CliContext,
  name: string,
  options: { displayName?: string; admin?: boolean; passwordStdin?: boolean },
): Promise<void> {
  const password = options.passwordStdin || context.input.isTTY ? await newPassword(context, name) : '';
  const users = await client(context, Users);
  const user = await users.createUser(
    { name, displayName: options.displayName ?? '', password, roles: rolesOf(options.admin) },
    { signal: context.signal },
  );
  context.output.message(`Added ${name}.${password === '' ? ` They can sign in after "cellar user password ${name}".` : ''}`);
  if (context.output.isJson) show(context, UserSchema, user, () => '');
}

export async function listUsers(context: CliContext): Promise<void> {
  const users = await client(context, Users);
  const { output } = context;
  const found: User[] = [];
  let pageToken = '';
  do {
    const answer = await users.listUsers({ pageSize: 1000, pageToken }, { signal: context.signal });
    found.push(...answer.users);
    pageToken = answer.nextPageToken;
  } while (pageToken);
  output.table(
    found,
    [
      { title: 'name', value: ({ name }) => name },
      { title: 'display name', value: ({ displayName }) => displayName },
      { title: 'roles', value: ({ roles }) => roleWords(roles) },
      {
        title: 'state',
        value: ({ disabled }) => (disabled ? 'disabled' : 'enabled'),
        paint: (word, { disabled }) => (disabled ? output.style.red(word) : word),
      },
      { title: 'created', value: ({ createTime }) => formatAge(createTime, Date.now()) },
    ],
    found.map((user) => toJson(UserSchema, user, { alwaysEmitImplicit: true })),
  );
}

export async function showUser(context: CliContext, name: string): Promise<void> {
  const users = await client(context, Users);
  const user = await users.getUser({ name }, { signal: context.signal });
  show(context, UserSchema, user, () =>
    formatFields(
      {
        name: user.name,
        'display name': user.displayName,
        roles: roleWords(user.roles),
        state: user.disabled ? 'disabled' : 'enabled',
        created: formatAge(user.createTime, Date.now()),
        id: user.id,
      },
      context.output.style,
    ),
  );
}

export async function updateUser(
  context: CliContext,
  name: string,
  options: { displayName?: string; admin?: boolean },
): Promise<void> {
  const { displayName, admin } = options;
  const paths = [...(displayName === undefined ? [] : ['display_name']), ...(admin === undefined ? [] : ['roles'])];
  if (paths.length === 0) throw invalidArgument(`Cannot change ${name}: nothing to change was named`);
  await change(context, name, { displayName: displayName ?? '', roles: rolesOf(admin) }, paths);
  context.output.message(`Changed ${name}.`);
}

export async function setDisabled(context: CliContext, name: string, disabled: boolean): Promise<void> {
  await change(context, name, { disabled }, ['disabled']);
  context.output.message(disabled ? `Disabled ${name}: sessions, tokens and keys are refused from now on.` : `Enabled ${name}.`);
}

export async function removeUser(context: CliContext, name: string, options: { yes?: boolean }): Promise<void> {
  const users = await client(context, Users);
  await users.getUser({ name }, { signal: context.signal });
  await context.confirm(`Delete the user ${name} with all tokens and keys?`, options.yes);
  await users.deleteUser({ name }, { signal: context.signal });
  context.output.message(`Deleted ${name}.`);
}

export async function setPassword(context: CliContext, given: string | undefined): Promise<void> {
  const { input, output, signal } = context;
  const sessions = await client(context, Sessions);
  const { user: me } = await sessions.getMe({}, { signal });
  const name = given ?? me?.name ?? '';
  const needsOld = name === me?.name && !me.roles.includes(Role.ADMIN);
  const askOld = async (): Promise<string> =>
    needsOld ? await ask(input, output, { text: 'Old password: ', isSecret: true, signal }) : '';
  // People are asked for the old one first; a pipe has it last, since most have none.
  const early = input.isTTY ? await askOld() : '';
  const password = await newPassword(context, name);
  const oldPassword = input.isTTY ? early : await askOld();
  const users = await client(context, Users);
  await users.setPassword({ name, newPassword: password, oldPassword }, { signal });
  output.message(`Set the password of ${name}. Sessions and tokens made before have ended.`);
}

async function newPassword(context: CliContext, name: string): Promise<string> {
  const { input, output, signal } = context;
  const password = await ask(input, output, { text: `New password of ${name}: `, isSecret: true, signal });
  if (!input.isTTY) return password;
  const again = await ask(input, output, { text: 'Once more: ', isSecret: true, signal });
  if (password !== again) throw new Fault(Code.InvalidArgument, 'Nothing was done: the two passwords are not the same');
  return password;
}

async function change(context: CliContext, name: string, user: Partial<Omit<User, '$typeName'>>, paths: string[]): Promise<void> {
  const users = await client(context, Users);
  const changed = await users.updateUser({ name, user, updateMask: { paths } }, { signal: context.signal });
  if (context.output.isJson) show(context, UserSchema, changed, () => '');
}

function rolesOf(isAdmin: boolean | undefined): Role[] {
  return isAdmin ? [Role.USER, Role.ADMIN] : [Role.USER];
}

function roleWords(roles: readonly Role[]): string {
  return roles.map((role) => enumWord(RoleSchema, role)).join(', ');
}
