import { exitMeanings, exitOfCode } from './exit-codes.ts';

/** Pages of `cellar help` that are not about one command. The reference is made from them too. */
export const topics: Readonly<Record<string, () => string>> = {
  'exit-codes': () =>
    [
      'What the command exits with:',
      '',
      ...Object.entries(exitMeanings).flatMap(([exit, meaning]) => {
        const codes = Object.entries(exitOfCode)
          .filter(([, value]) => String(value) === exit)
          .map(([code]) => code);
        return [`  ${exit.padStart(3)}  ${meaning}`, ...(codes.length > 0 ? [`       (${codes.join(', ')})`] : [])];
      }),
      '',
      'The words in brackets are the error codes of the REST interface, which `--json` shows too.',
    ].join('\n'),
  environment: () =>
    [
      'Environment variables:',
      '',
      '  CELLAR_HOME    Folder of the installation on this machine; like --home. Default: ~/.cellar.',
      '  CELLAR_SERVER  Address of the server meant; like --server.',
      '  CELLAR_TOKEN   Token to sign in with; it wins over a stored login. Tokens are not taken from the command line, where others can see them.',
      '  CELLAR_DEBUG   Set: errors are followed by their causes.',
      '  NO_COLOR       Set: no colours.',
      '  XDG_CONFIG_HOME  Where logins are kept: its cellar/logins.json. Default: ~/.config.',
      '',
      'Which server a command speaks to, the first that applies:',
      '',
      '  1. --server or CELLAR_SERVER, with the token given or the login stored for it.',
      '  2. A token given without a server: the server that runs with the home meant, else the one last logged in to.',
      '  3. The server that runs with the home meant, with the login stored for it.',
      '  4. The same server through its local socket, as its administrator: only the account that runs it may open that socket.',
      '     (When a login was stored and no home was named, 5 comes before 4.)',
      '  5. The server last logged in to.',
    ].join('\n'),
  paths: () =>
    [
      'Paths:',
      '',
      '  A remote path starts with the name of a datasource: docs/reports/2026.pdf.',
      '  Where local paths are possible too (cp), remote ones are written with "cellar:" before them: cellar:docs/reports.',
      '  Elsewhere "cellar:" may be left out. "cellar:" alone is the root, which holds the datasources.',
      '  A local file whose name begins with "cellar:" is written ./cellar:name. "-" is standard input or output.',
    ].join('\n'),
};
