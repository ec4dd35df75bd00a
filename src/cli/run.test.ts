import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import type { CliCommand } from './command.ts';
import { Context } from './context.ts';
import { commandModules, createProgram } from './program.ts';
import { run } from './testing/run.ts';

// A port that was free a moment ago: nobody answers there.
const server = createServer().listen(0, '127.0.0.1');
await once(server, 'listening');
const closed = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
server.close();

test('what is not understood exits with 2 and says what was meant', async (t) => {
  const cases: [string[], RegExp][] = [
    [['lss'], /Unknown command 'lss'[\s\S]*Did you mean/],
    [['user', 'ad'], /Unknown command 'ad'[\s\S]*Did you mean add/],
    [['ls', '--jsn'], /Unknown option '--jsn'[\s\S]*--json/],
    [['ls', '--sort', 'colour'], /'colour' is invalid[\s\S]*name, size, time/],
    [['cp'], /Missing required argument 'path'/],
    [['cp', '--parallel', '0', 'a', 'cellar:b'], /whole number from 1 to 64/],
    [['ls', 'a', 'b'], /Too many arguments/],
    [['rm', '../x', '--server', 'http://127.0.0.1:1'], /remote paths have no "\.\."/],
    [['whoami', '--server', 'ftp://x'], /"ftp:\/\/x" as a server/],
    [['whoami', '--server', 'http://me:secret@host'], /\/\/\*\*\*@host/],
    [['cp', 'a', 'b', '--server', 'http://127.0.0.1:1'], /neither side is remote/],
    [['help', 'nothing'], /no such command or topic/],
  ];
  for (const [args, expected] of cases) {
    await t.test(args.join(' '), async () => {
      const { exitCode, stdout, stderr } = await run(args);
      assert.match(stderr, expected);
      assert.equal(exitCode, 2);
      assert.equal(stdout, '');
    });
  }
});

test('errors are one line and a hint, or JSON', async () => {
  const plain = await run(['ls', '--server', closed]);
  assert.equal(plain.exitCode, 5);
  assert.match(plain.stderr, /^cellar: Cannot reach http:\S+: the connection was refused\nhint: .+\n$/);
  const json = await run(['ls', '--json', '--server', closed]);
  assert.equal(json.exitCode, 5);
  const { error } = JSON.parse(json.stderr);
  assert.equal(error.code, 'unavailable');
  assert.equal(error.exit, 5);
  assert.ok(error.hint);
  const usage = await run(['--json', 'lss']);
  assert.equal(JSON.parse(usage.stderr).error.code, 'invalid_argument');
});

test('a home where nothing runs is told with what to do', async () => {
  const { exitCode, stderr } = await run(['ls', '--home', '/nonexistent/home']);
  assert.equal(exitCode, 5);
  assert.match(stderr, /no server runs with the home \/nonexistent\/home\nhint: Start it/);
});

test('a group without a word shows its help and exits with 2; the command alone too', async () => {
  for (const args of [['user'], []]) {
    const { exitCode, stderr, stdout } = await run(args);
    assert.match(stderr, /Usage: cellar/);
    assert.equal(stdout, '');
    assert.equal(exitCode, 2);
  }
});

test('help is data: on stdout, with 0', async () => {
  for (const args of [['--help'], ['help'], ['help', 'user', 'add'], ['cp', '--help'], ['help', 'exit-codes']]) {
    const { exitCode, stdout, stderr } = await run(args);
    assert.ok(stdout.length > 100, args.join(' '));
    assert.deepEqual([exitCode, stderr], [0, '']);
  }
});

test('every command has a description and an example that names it', async () => {
  const program = await createProgram(undefined, contextOfTest());
  for (const command of leaves(program)) {
    if (command.name().startsWith('__')) continue;
    assert.ok(command.description().endsWith('.') || /[.!?]/.test(command.description()), `${path(command)} has no description`);
    assert.ok(
      command.examples.some(({ line }) => line.includes(path(command))),
      `${path(command)} has no example`,
    );
  }
});

test('a command loaded alone is the same as in the whole tree', async () => {
  for (const word of Object.keys(commandModules)) {
    const alone = await createProgram([word, 'x'], contextOfTest());
    assert.ok(
      alone.commands.some((command) => command.name() === word),
      word,
    );
  }
});

const escapeChar = new RegExp(String.fromCharCode(27));

test('no colours on a pipe or with NO_COLOR, colours on a terminal', async () => {
  const args = ['ls', '--server', closed];
  assert.doesNotMatch((await run(args)).stderr, escapeChar);
  assert.match((await run(args, { isTerminal: true })).stderr, /\[31m/);
  assert.doesNotMatch((await run(args, { isTerminal: true, env: { NO_COLOR: '1' } })).stderr, escapeChar);
});

test('help comes fast: no service, client or contract is loaded for it', () => {
  const hooks = `data:text/javascript,${encodeURIComponent(sayWhatIsLoaded)}`;
  const main = join(import.meta.dirname, 'main.ts');
  const { stdout, status } = spawnSync(process.execPath, ['--import', hooks, main, '--help'], {
    encoding: 'utf8',
    timeout: 10_000,
  });
  assert.equal(status, 0);
  const loaded = JSON.parse(stdout.slice(stdout.lastIndexOf('loaded:') + 7)) as string[];
  assert.ok(loaded.some((url) => url.endsWith('src/cli/program.ts')));
  const heavy = loaded.filter((url) => /src\/gen\/|@bufbuild|src\/kernel\/(rest|transports|process|database)/.test(url));
  assert.deepEqual(heavy, []);
});

const sayWhatIsLoaded = `
  import { writeSync } from 'node:fs';
  import { registerHooks } from 'node:module';
  const loaded = [];
  registerHooks({ load: (url, context, next) => { loaded.push(url); return next(url, context); } });
  process.on('exit', () => writeSync(1, 'loaded:' + JSON.stringify(loaded)));
`;

function contextOfTest(): Context {
  return new Context({
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    env: {},
    signal: new AbortController().signal,
  });
}

function leaves(command: CliCommand): CliCommand[] {
  const children = command.commands as CliCommand[];
  return children.length > 0 ? children.flatMap(leaves) : [command];
}

function path(command: CliCommand): string {
  return command.parent ? `${path(command.parent as CliCommand)} ${command.name()}` : command.name();
}
