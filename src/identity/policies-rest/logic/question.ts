import { Role } from '#gen/cellar/kernel/v1/options_pb.ts';
import type { Caller } from '#kernel/calls/caller.ts';
import { invalidArgument } from '#kernel/fault.ts';

/** An entity of Cedar, such as `Role::"admin"`. */
export interface Entity {
  readonly type: string;
  readonly id: string;
}

/** What policies are asked: may this principal do this with that resource? */
export interface Question {
  readonly principal: Entity & { readonly name: string; readonly parents: readonly Entity[] };
  /** Such as `data:read`. */
  readonly action: string;
  /** `parents` are all ancestors, nearest first. */
  readonly resource: Entity & { readonly parents: readonly Entity[] };
}

export function createQuestion(caller: Pick<Caller, 'id' | 'name' | 'roles'>, action: string, resource: string): Question {
  return { principal: principalOf(caller), action, resource: parseResource(resource) };
}

function principalOf({ id, name, roles }: Pick<Caller, 'id' | 'name' | 'roles'>): Question['principal'] {
  if (id === '') return { type: 'Anybody', id: 'anybody', name: 'anybody', parents: [] };
  const names = [...(roles.includes(Role.ADMIN) ? ['admin'] : []), ...(roles.includes(Role.USER) ? ['user'] : [])];
  return { type: 'User', id, name, parents: names.map((role) => ({ type: 'Role', id: role })) };
}

/**
 * Reads a resource: `data/<datasource>/<path>` is a `Path` in the paths above it up to the root `Path::""`, `call/<contract>/<Method>` is
 * a `Call` in its `Contract`.
 * Errors: `invalid_argument` for anything else, also for a path that is not plain, such as one with `..`.
 */
export function parseResource(resource: string): Question['resource'] {
  const call = /^call\/(\w+(?:\.\w+)*)\/(\w+)$/.exec(resource);
  if (call) return { type: 'Call', id: `${call[1]}/${call[2]}`, parents: [{ type: 'Contract', id: `${call[1]}` }] };
  if (!/^data(?:\/|$)/.test(resource)) {
    throw invalidArgument(`Cannot decide about "${resource}": it is no resource`, {
      reason: 'resource_invalid',
      hint: 'Write data/<datasource>/<path> or call/<contract>/<Method>.',
    });
  }
  const names = resource.split('/').slice(1).filter(Boolean);
  if (names.includes('.') || names.includes('..')) {
    throw invalidArgument(`Cannot decide about "${resource}": its path has a "." or ".." in it`, { reason: 'resource_invalid' });
  }
  const paths = names.map((_, index) => names.slice(0, index + 1).join('/')).toReversed();
  const [id = '', ...above] = [...paths, ''];
  return { type: 'Path', id, parents: above.map((path) => ({ type: 'Path', id: path })) };
}
