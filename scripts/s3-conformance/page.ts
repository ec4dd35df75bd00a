import { areaOf } from './areas.ts';
import { reasonOf } from './reasons.ts';
import type { CaseResult } from './results.ts';

const failureLine = /^- `([^`]+)`/;

/** The cases that the page says fail. */
export const namedFailures = (page: string): ReadonlySet<string> =>
  new Set(page.split('\n').flatMap((line) => failureLine.exec(line)?.[1] ?? []));

/** The page: totals by area, and every case that fails, grouped by its reason. */
export function compatibilityPage(results: readonly CaseResult[]): string {
  const count = (some: readonly CaseResult[], outcome: CaseResult['outcome']): number =>
    some.filter((one) => one.outcome === outcome).length;
  const areas = Map.groupBy(results, ({ id }) => areaOf(id));
  const rows = [...areas].sort(([a], [b]) => a.localeCompare(b));
  const failed = results.filter(({ outcome }) => outcome === 'failed');
  const groups = [...Map.groupBy(failed, ({ id }) => reasonOf(id))].sort(([, a], [, b]) => b.length - a.length);
  return `# S3 compatibility

What Ceph's public conformance suite ([ceph/s3-tests](https://github.com/ceph/s3-tests)) finds on a folder of buckets, with every case that fails
and why. This page is written by \`node scripts/s3-conformance.ts CHECKOUT --write\`; without \`--write\` the outcome is compared with it.

${results.length} cases: **${count(results, 'passed')} pass**, ${failed.length} fail, ${count(results, 'skipped')} are skipped by the suite itself.
Those of S3 Select and IAM that pass say nothing: they compare two refusals, or expect one.

| area | pass | fail | skipped |
|---|--:|--:|--:|
${rows.map(([area, some]) => `| ${area} | ${count(some, 'passed')} | ${count(some, 'failed')} | ${count(some, 'skipped')} |`).join('\n')}

## What fails
${groups
  .map(
    ([reason, some]) =>
      `\n### ${reason} (${some.length})\n${some
        .map(({ id }) => `- \`${id}\``)
        .sort()
        .join('\n')}\n`,
  )
  .join('')}`;
}
