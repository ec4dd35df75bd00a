/**
 * Runs the public S3 conformance suite of Ceph (github.com/ceph/s3-tests) against a platform of its own and compares the outcome with
 * `docs/s3-compatibility.md`.
 *
 * `node scripts/s3-conformance.ts CHECKOUT` runs all of it; `-k FILTER` a part, as pytest has it; `-n N` with so many at once (default 3);
 * `--write` writes the page anew. `CELLAR_CONFORMANCE_PYTHON` is a Python with the suite's requirements, pytest-xdist and pytest-timeout.
 * Exits with 1 when a case fails that the page does not name, or passes that it does.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { compatibilityPage, namedFailures } from './s3-conformance/page.ts';
import { type CaseResult, readResults } from './s3-conformance/results.ts';
import { kmsKeys, lifecycleDaySeconds, type SuiteUser, startServer } from './s3-conformance/server.ts';

const page = join(import.meta.dirname, '..', 'docs', 's3-compatibility.md');
/** These count the buckets of a user, or the requests of the server: nothing may happen beside them. */
const alone = 'buckets_create_then_list or list_buckets or buckets_list or paginated';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    filter: { type: 'string', short: 'k', default: '' },
    workers: { type: 'string', short: 'n', default: '3' },
    write: { type: 'boolean', default: false },
  },
});
const [checkout] = positionals;
if (checkout === undefined) {
  console.error('Cannot run the suite: say where its checkout lies, as in "node scripts/s3-conformance.ts ../s3-tests".');
  process.exit(2);
}

const folder = await mkdtemp(join(tmpdir(), 'cellar-conformance-'));
try {
  await using server = await startServer(join(folder, 'buckets'));
  const configuration = join(folder, 's3tests.conf');
  await writeFile(configuration, configurationText(server.port, server.users));
  const wanted = (part: string): string => (values.filter === '' ? part : `(${values.filter}) and (${part})`);
  const first = await pytest(configuration, 'alone', wanted(alone), 0);
  const results = [...first, ...(await pytest(configuration, 'together', wanted(`not (${alone})`), Number(values.workers)))];
  process.exitCode = await report(results);
} finally {
  await rm(folder, { recursive: true, force: true });
}

async function report(results: readonly CaseResult[]): Promise<number> {
  const failed = results.filter(({ outcome }) => outcome === 'failed');
  const passed = results.filter(({ outcome }) => outcome === 'passed');
  console.log(`${passed.length} passed, ${failed.length} failed, ${results.length - failed.length - passed.length} skipped`);
  if (values.write) {
    await writeFile(page, compatibilityPage(results));
    return 0;
  }
  const named = namedFailures(await readFile(page, 'utf8').catch(() => ''));
  const worse = failed.filter(({ id }) => !named.has(id));
  const better = passed.filter(({ id }) => named.has(id));
  for (const { id, message } of worse) console.log(`fails now: ${id}: ${message}`);
  for (const { id } of better) console.log(`passes now: ${id}`);
  return worse.length + better.length > 0 ? 1 : 0;
}

/** One run of pytest; what it prints is only passed on. */
async function pytest(configuration: string, name: string, filter: string, workers: number): Promise<readonly CaseResult[]> {
  const junit = join(folder, `${name}.xml`);
  const python = process.env['CELLAR_CONFORMANCE_PYTHON'] ?? 'python3';
  const options = ['-p', 'no:cacheprovider', '-q', '--tb=no', '--timeout=1200', '-n', String(workers), `--junitxml=${junit}`];
  const child = spawn(python, ['-m', 'pytest', ...options, '-k', filter, 's3tests/functional'], {
    cwd: checkout,
    env: { ...process.env, S3TEST_CONF: configuration, PYTHONDONTWRITEBYTECODE: '1' },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const [code] = await once(child, 'exit');
  // 1: some failed, 5: none was chosen; both are outcomes.
  if (code !== 0 && code !== 1 && code !== 5) throw new Error(`pytest ended with ${code}`);
  return readResults(await readFile(junit, 'utf8'));
}

/** What the suite wants to be told. Cellar has no tenants or accounts, so that those are users like the others. */
function configurationText(port: number, users: Readonly<Record<'main' | 'alt' | 'tenant', SuiteUser>>): string {
  const user = ({ name, id, accessKey, secretKey }: SuiteUser): string =>
    `display_name = ${name}\nuser_id = ${id}\nemail = ${name}@example.org\naccess_key = ${accessKey}\nsecret_key = ${secretKey}\n`;
  return `[DEFAULT]
host = 127.0.0.1
port = ${port}
is_secure = False
ssl_verify = False

[fixtures]
bucket prefix = suite-{random}-

[s3 main]
${user(users.main)}api_name =
kms_keyid = ${kmsKeys[0]}
kms_keyid2 = ${kmsKeys[1]}
lc_debug_interval = ${lifecycleDaySeconds}

[s3 alt]
${user(users.alt)}
[s3 tenant]
${user(users.tenant)}tenant =

[iam]
${user(users.main)}
[iam root]
${user(users.main)}
[iam alt root]
${user(users.alt)}`;
}
