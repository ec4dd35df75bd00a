import type { CliContext, Connection } from '../command.ts';
import { loginsPath, readLogins, readTokenFile } from './logins.ts';
import { findRunning } from './running.ts';
import { chooseTarget } from './target.ts';

/** The way to the server meant. Errors: `unavailable` when nothing runs and nothing is known; what is wrong with stored logins. */
export async function connect(context: CliContext): Promise<Connection> {
  const { server, home, isHomeGiven, actAs, env, signal } = context;
  const token = context.tokenFile ? await readTokenFile(context.tokenFile) : env['CELLAR_TOKEN'] || undefined;
  const [running, logins] = await Promise.all([findRunning(home), readLogins(loginsPath(env))]);
  const target = chooseTarget({ server, token, home, isHomeGiven, actAs, running, logins });
  if (target.kind === 'local') {
    const { connectLocal } = await import('./local.ts');
    return await connectLocal(target.home, actAs, signal);
  }
  const { connectRest } = await import('./rest.ts');
  return connectRest(target, running?.url === target.url, signal);
}
