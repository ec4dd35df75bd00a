import { join } from 'node:path';
import type { Micro, Running } from '#kernel/services/service.ts';
import type { SettingsOf } from '#kernel/settings/setting.ts';
import { openVault } from '#kernel/vault.ts';
import { removeFirstLogin, writeFirstLogin } from './first-login.ts';
import { createAccounts } from './logic/accounts.ts';
import { firstUserName, makeFirstUser } from './logic/first-user.ts';
import { createLastUse } from './logic/last-use.ts';
import { createLoginLimit } from './logic/login-limit.ts';
import { createPasswords } from './logic/passwords.ts';
import { createSigningIn } from './logic/signing-in.ts';
import { authenticatorRpc } from './rpc/authenticator.ts';
import { keysRpc } from './rpc/keys.ts';
import { sessionsRpc } from './rpc/sessions.ts';
import { tokensRpc } from './rpc/tokens.ts';
import { usersRpc } from './rpc/users.ts';
import type { settings } from './settings.ts';
import { createSqlUserStore } from './store/sql.ts';

export async function createServer(micro: Micro<SettingsOf<typeof settings>>): Promise<Running> {
  const { database, folder, home, log, settings, signal } = micro;
  const now = (): number => micro.clock.now();
  const store = createSqlUserStore(database);
  const vault = await openVault(join(folder, 'master.key'), () => store.hasKeys());
  const limit = createLoginLimit(now);
  const passwords = createPasswords({
    memoryKib: settings.passwordMemoryKib,
    passes: settings.passwordPasses,
    atOnceMax: settings.passwordChecksAtOnce,
  });
  await makeFirstUser(
    { store, passwords, now, publish: (login) => writeFirstLogin(home, login), withdraw: () => removeFirstLogin(home) },
    signal,
  );
  const lastUse = createLastUse(store, log);
  const signingIn = createSigningIn({
    store,
    passwords,
    limit,
    lastUse,
    now,
    sessionIdleMs: settings.sessionIdleMinutes * 60_000,
    sessionMs: settings.sessionDays * 24 * 60 * 60_000,
  });
  const accounts = createAccounts({ store, passwords, limit, now });
  const passwordIsGone = async (name: string): Promise<void> => {
    if (name === firstUserName) await removeFirstLogin(home);
  };
  return {
    bindings: [
      usersRpc({ store, accounts, passwordIsGone }),
      sessionsRpc(signingIn, store),
      tokensRpc(store, now),
      keysRpc(store, vault, now),
      authenticatorRpc({ signingIn, store, vault, signal }),
    ],
    check: (patience) => database.check(patience),
    stop: () => lastUse.stop(),
  };
}
