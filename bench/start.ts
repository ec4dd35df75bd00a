import { makeHome, startPlatform } from './platform.ts';
import { isQuick, median, quantile, report } from './report.ts';

// How long `cellar start` takes until every service is ready: with a new home (databases, keys and the first user are made) and with one
// that was used before. Two datasources below one folder: five forked services.
const runs = isQuick ? 3 : 9;
const modes = [
  { name: 'forked', args: [], limitMs: 2000 },
  { name: 'one process', args: ['--no-fork'], limitMs: 1000 },
] as const;

const times = new Map<string, number[]>();
const note = (key: string, ms: number): void => {
  times.set(key, [...(times.get(key) ?? []), ms]);
};
for (let run = 0; run <= runs; run++) {
  for (const { name, args } of modes) {
    const { home, remove } = await makeHome();
    for (const kind of ['new home', 'used home']) {
      const platform = await startPlatform(home, args);
      // The first round fills the compile cache, which an installation has done once.
      if (run > 0) note(`${name}, ${kind}`, platform.startMs);
      await platform.stop();
    }
    await remove();
  }
}

const of = (key: string): number[] => times.get(key) ?? [];
report('start', {
  columns: ['start', 'median ms', 'fastest ms', 'slowest ms'],
  rows: [...times].map(([key, values]) => [
    key,
    Math.round(median(values)),
    Math.round(quantile(values, 0)),
    Math.round(quantile(values, 1)),
  ]),
  claims: modes.map(({ name, limitMs }) => {
    const ms = Math.round(median(of(`${name}, new home`)));
    return {
      what: `cold start to ready, two datasources, ${name}, ms`,
      target: `< ${limitMs}`,
      measured: ms,
      holds: ms < limitMs,
    };
  }),
});
