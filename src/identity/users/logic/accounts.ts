import { Role } from '#gen/cellar/kernel/v1/options_pb.ts';
import type { Caller } from '#kernel/calls/caller.ts';
import { invalidArgument, permissionDenied } from '#kernel/fault.ts';
import type { StoredUser, UserChange, UserStore } from '../store/store.ts';
import type { LoginLimit } from './login-limit.ts';
import type { Passwords } from './passwords.ts';
import { newId } from './random.ts';

/** What administrators do with users, and users with their password. */
export interface Accounts {
  /** `password` empty: the user cannot sign in until one is set. Errors: `already_exists`; `invalid_argument` for a short password. */
  create(user: NewUser, signal: AbortSignal): Promise<StoredUser>;
  /** Errors: `permission_denied` for somebody else's, or a wrong old password; `invalid_argument`; as `UserStore.setPassword`. */
  setPassword(request: NewPassword, caller: Caller, signal: AbortSignal): Promise<void>;
}

export interface NewUser {
  readonly name: string;
  readonly displayName: string;
  readonly password: string;
  readonly isAdmin: boolean;
}

export interface NewPassword {
  readonly name: string;
  readonly newPassword: string;
  /** Empty: only an administrator may leave it out. */
  readonly oldPassword: string;
}

export interface AccountParts {
  readonly store: UserStore;
  readonly passwords: Passwords;
  readonly limit: LoginLimit;
  readonly now: () => number;
}

const passwordLengthMin = 8;

export function createAccounts({ store, passwords, limit, now }: AccountParts): Accounts {
  return {
    async create({ name, displayName, password, isAdmin }, signal) {
      if (password) assertLength(password, `create user "${name}"`);
      const user = {
        id: newId(),
        name,
        displayName,
        isAdmin,
        isDisabled: false,
        password: password ? await passwords.hash(password, signal) : '',
        createTimeMs: now(),
      };
      await store.createUser(user);
      return user;
    },
    async setPassword({ name, newPassword, oldPassword }, caller, signal) {
      assertLength(newPassword, `set the password of "${name}"`);
      if (!caller.roles.includes(Role.ADMIN)) {
        const user = await store.getUserById(caller.id);
        if (user?.name !== name) {
          throw permissionDenied(`Cannot set the password of "${name}": it is somebody else's`, {
            reason: 'not_own',
            hint: 'Ask an administrator.',
          });
        }
        const attempt = limit.begin(name, caller.origin ?? '');
        const { isRight } = await passwords.check(oldPassword, user.password, signal).catch((error: unknown) => {
          attempt.undo();
          throw error;
        });
        if (!isRight) throw permissionDenied('Cannot set the password: the old one is wrong', { reason: 'old_password_wrong' });
        attempt.succeed();
      }
      await store.setPassword(name, await passwords.hash(newPassword, signal));
    },
  };
}

/** What a mask of proto paths changes; without one, the fields that are set. Errors: `invalid_argument` naming what may be changed. */
export function changeOf(
  user: { readonly displayName: string; readonly roles: readonly Role[]; readonly disabled: boolean },
  mask: readonly string[] | undefined,
): UserChange {
  const all: Readonly<Record<string, UserChange>> = {
    display_name: { displayName: user.displayName },
    roles: { isAdmin: user.roles.includes(Role.ADMIN) },
    disabled: { isDisabled: user.disabled },
  };
  const isSet: Readonly<Record<string, boolean>> = {
    display_name: user.displayName !== '',
    roles: user.roles.length > 0,
    disabled: user.disabled,
  };
  const paths = mask ?? Object.keys(all).filter((path) => isSet[path]);
  const unknown = paths.find((path) => !Object.hasOwn(all, path));
  if (unknown !== undefined) {
    throw invalidArgument(`Cannot change "${unknown}" of a user`, {
      reason: 'field_unknown',
      hint: `Fields that can be changed: ${Object.keys(all).join(', ')}.`,
      violations: [{ field: 'update_mask', message: `must not name ${unknown}` }],
    });
  }
  if (paths.includes('roles') && !user.roles.every((role) => role === Role.ADMIN || role === Role.USER)) {
    throw invalidArgument('Cannot change the roles: a user is ROLE_USER or ROLE_ADMIN', {
      violations: [{ field: 'user.roles', message: 'must hold only ROLE_USER and ROLE_ADMIN' }],
    });
  }
  return Object.assign({}, ...paths.map((path) => all[path])) as UserChange;
}

function assertLength(password: string, what: string): void {
  if ([...password].length >= passwordLengthMin) return;
  throw invalidArgument(`Cannot ${what}: a password has at least ${passwordLengthMin} characters`, {
    reason: 'password_short',
    violations: [{ field: 'password', message: `must be at least ${passwordLengthMin} characters long` }],
  });
}
