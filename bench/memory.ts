import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeHome, startPlatform } from './platform.ts';
import { isQuick, median, report } from './report.ts';

// What the idle platform holds of memory: proportional set size, so that what processes share is counted once. Two datasources.
const runs = isQuick ? 1 : 3;
const settleMs = isQuick ? 5000 : 15_000;
const modes = [
  { name: 'forked', args: [], limitMib: 400 },
  { name: 'one process', args: ['--no-fork'], limitMib: 150 },
] as const;

const rows: (string | number)[][] = [];
const claims = [];
for (const { name, args, limitMib } of modes) {
  const sums: number[] = [];
  let count = 0;
  let largest = 0;
  for (let run = 0; run < runs; run++) {
    const { home, remove } = await makeHome();
    const platform = await startPlatform(home, args);
    await sleep(settleMs);
    const sizes = await Promise.all((await platform.pids()).map(proportionalMib));
    sums.push(sizes.reduce((sum, size) => sum + size, 0));
    count = sizes.length;
    largest = Math.max(largest, ...sizes);
    await platform.stop();
    await remove();
  }
  const total = Math.round(median(sums));
  rows.push([name, count, total, Math.round(largest)]);
  claims.push({
    what: `idle proportional set size, two datasources, ${name}, MiB`,
    target: `< ${limitMib}`,
    measured: total,
    holds: total < limitMib,
  });
}
report('memory', { columns: ['platform', 'processes', 'all MiB', 'largest process MiB'], rows, claims });

/** Source: proc(5), `smaps_rollup`. */
async function proportionalMib(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8');
  return Number(/^Pss:\s+(\d+)/m.exec(text)?.[1] ?? Number.NaN) / 1024;
}
