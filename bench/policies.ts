/** What a decision costs: by the Cedar library with and without parsing, as this project makes it, and as a request meets it. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { Role } from '#gen/cellar/kernel/v1/options_pb.ts';
import { defaultPolicies } from '#identity/policies-rest/logic/default-policies.ts';
import { compilePolicies } from '#identity/policies-rest/logic/policy-set.ts';
import { createQuestion, type Question } from '#identity/policies-rest/logic/question.ts';
import { createGuard } from '#kernel/guard/guard.ts';
import { silentLog } from '#kernel/log.ts';
import { isQuick, median, report } from './report.ts';

const pssMb = (): number => Number(/^Pss:\s+(\d+)/m.exec(readFileSync('/proc/self/smaps_rollup', 'utf8'))?.[1]) / 1024;

const plain = [
  ...defaultPolicies,
  { id: 'reports', text: 'permit(principal in Role::"user", action == Action::"data:read", resource in Path::"docs/reports");' },
  { id: 'private', text: 'forbid(principal, action, resource in Path::"docs/private") when { principal.name == "ann" };' },
];
const rich = [
  ...plain,
  { id: 'team', text: 'permit(principal, action, resource in Path::"team") when { principal.name like "team-*" };' },
];
const question = (file: number): Question =>
  createQuestion({ id: 'u1', name: 'ann', roles: [Role.USER] }, 'data:read', `data/docs/reports/${file}.pdf`);

/** Memory of a process that compiles a set and decides once, less that of one that does not. Unit: MiB. */
function memoryMb(name: 'none' | 'plain' | 'rich'): number {
  const { stdout } = spawnSync(process.execPath, ['--expose-gc', import.meta.filename, name], { encoding: 'utf8' });
  return Number(stdout);
}

const [mode] = process.argv.slice(2);
if (mode) {
  if (mode !== 'none') (await compilePolicies(mode === 'rich' ? rich : plain))(question(1));
  globalThis.gc?.();
  console.log(pssMb());
  process.exit(0);
}

// After the above, which measures what a process needs without these.
const cedar = await import('@cedar-policy/cedar-wasm/nodejs');
const { toCall } = await import('#identity/policies-rest/logic/cedar.ts');
const { edge, startIdentity } = await import('#identity/testing.ts');

const roundMs = isQuick ? 100 : 500;
const rounds = isQuick ? 3 : 7;

/** Microseconds per run. */
async function cost(run: (index: number) => unknown): Promise<number> {
  const results: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const startMs = performance.now();
    let count = 0;
    while (performance.now() - startMs < roundMs) {
      for (let index = 0; index < 20; index++) {
        const answer = run(count++);
        if (answer instanceof Promise) await answer;
      }
    }
    results.push(((performance.now() - startMs) * 1000) / count);
  }
  return median(results);
}

const statements = Object.fromEntries(
  rich.flatMap(({ id, text }) => {
    const parts = cedar.policySetTextToParts(text);
    return parts.type === 'success' ? parts.policies.map((part, index) => [`${id}#${index}`, part]) : [];
  }),
);
cedar.preparsePolicySet('bench', { staticPolicies: statements });
const decidePlain = await compilePolicies(plain);
const decideRich = await compilePolicies(rich);

await using identity = await startIdentity();
const stopping = new AbortController();
const guard = createGuard({
  client: (desc) => identity.platform.client(desc, edge),
  clock: Date,
  log: silentLog,
  signal: stopping.signal,
});

const raw = await cost((index) => cedar.isAuthorized({ ...toCall(question(index)), policies: { staticPolicies: statements } }));
const preparsed = await cost((index) =>
  cedar.statefulIsAuthorized({ ...toCall(question(index)), preparsedPolicySetId: 'bench' }),
);
const plainNew = await cost((index) => decidePlain(question(index)));
const cached = await cost(() => decideRich(question(1)));
const guarded = await cost(() => guard.assertAllowed(identity.admin, 'data:read', 'data/docs/reports/1.pdf'));
stopping.abort();
const base = memoryMb('none');

report('policies', {
  columns: ['decision', 'us', 'decisions/s', 'MiB more'],
  rows: [
    ['Cedar, text each time', raw, 1e6 / raw, ''],
    ['Cedar, preparsed', preparsed, 1e6 / preparsed, memoryMb('rich') - base],
    ['Cedar, cached', cached, 1e6 / cached, ''],
    ['plain policies, without the library', plainNew, 1e6 / plainNew, memoryMb('plain') - base],
    ['guard, kept answer (at an edge)', guarded, 1e6 / guarded, ''],
  ],
});
