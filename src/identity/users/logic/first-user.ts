import type { UserStore } from '../store/store.ts';
import type { Passwords } from './passwords.ts';
import { newId, newReadablePassword } from './random.ts';

export const firstUserName = 'admin';

export interface FirstUserParts {
  readonly store: UserStore;
  readonly passwords: Passwords;
  readonly now: () => number;
  /** Keeps the password where the person who starts Cellar finds it; called before the user exists, so that it cannot be lost. */
  readonly publish: (login: { readonly name: string; readonly password: string }) => Promise<void>;
  /** Takes it back: somebody else was first. */
  readonly withdraw: () => Promise<void>;
}

/** Makes the first administrator, with a generated password when there is no user yet. */
export async function makeFirstUser(
  { store, passwords, now, publish, withdraw }: FirstUserParts,
  signal: AbortSignal,
): Promise<void> {
  if (await store.hasUsers()) return;
  const login = { name: firstUserName, password: newReadablePassword() };
  const password = await passwords.hash(login.password, signal);
  await publish(login);
  const isMade = await store.createFirstUser({
    id: newId(),
    name: login.name,
    displayName: 'Administrator',
    isAdmin: true,
    isDisabled: false,
    password,
    createTimeMs: now(),
  });
  if (!isMade) await withdraw();
}
