import { type Fault, unavailable } from '#kernel/fault.ts';
import type { Login, Logins } from './logins.ts';

/** Which server a command speaks to, and how. */
export type Target =
  | { readonly kind: 'rest'; readonly url: string; readonly token: string | undefined; readonly login: Login | undefined }
  | { readonly kind: 'local'; readonly home: string };

export interface Known {
  /** `--server` or `CELLAR_SERVER`. */
  readonly server: string | undefined;
  /** `CELLAR_TOKEN` or the content of `--token-file`. */
  readonly token: string | undefined;
  readonly home: string;
  readonly isHomeGiven: boolean;
  /** Somebody to act as, which only the local socket allows. */
  readonly actAs: string | undefined;
  /** The server that runs with this home, when one does. */
  readonly running: { readonly url: string } | undefined;
  readonly logins: Logins;
}

/** Where Cellar listens when nobody says otherwise. */
export const urlDefault = 'http://127.0.0.1:8080';

/**
 * Chooses the server; `cellar help environment` tells people the same in words.
 * Errors: `unavailable` when nothing runs and nothing is known.
 */
export function chooseTarget(known: Known): Target {
  const { server, token, running, logins, home } = known;
  const rest = (url: string): Target => ({
    kind: 'rest',
    url,
    token: token ?? logins.servers[url]?.token,
    login: logins.servers[url],
  });
  if (known.actAs !== undefined) {
    if (running) return { kind: 'local', home };
    throw notRunning(home);
  }
  if (server) return rest(server);
  if (token) return rest(running?.url ?? logins.current ?? urlDefault);
  if (running && logins.servers[running.url]) return rest(running.url);
  if (known.isHomeGiven || logins.current === undefined) {
    if (running) return { kind: 'local', home };
    throw notRunning(home);
  }
  return rest(logins.current);
}

function notRunning(home: string): Fault {
  return unavailable(`Cannot reach Cellar: no server runs with the home ${home}`, {
    reason: 'not_running',
    hint: 'Start it with "cellar start", or name one: --home DIR for this machine, --server URL or "cellar login" for another.',
  });
}
