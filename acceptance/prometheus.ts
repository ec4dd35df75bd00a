/** One line of a page, with its labels. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Family {
  readonly type: string;
  readonly help: string;
  readonly samples: Sample[];
}

/**
 * Reads a page in the text format of Prometheus, version 0.0.4, strictly. Errors: for a line that is none, a sample that is given twice or of no
 * family, and histograms whose buckets do not grow up to their count.
 */
export function parseMetrics(page: string): ReadonlyMap<string, Family> {
  const families = new Map<string, Family>();
  const seen = new Set<string>();
  const helps = new Map<string, string>();
  const wrong = (line: string, why: string): never => {
    throw new Error(`${why}: ${line}`);
  };
  if (!page.endsWith('\n')) wrong(page.slice(-50), 'The last line does not end');
  for (const line of page.split('\n').slice(0, -1)) {
    const help = /^# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) (.*)$/.exec(line);
    const type = /^# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge|histogram|summary|untyped)$/.exec(line);
    if (help) helps.set(help[1] ?? '', help[2] ?? '');
    else if (type) {
      const name = type[1] ?? '';
      if (families.has(name)) wrong(line, 'A family is there twice');
      families.set(name, {
        type: type[2] ?? '',
        help: helps.get(name) ?? wrong(line, 'A family says nothing of itself'),
        samples: [],
      });
    } else {
      const [, name = '', labelText = '', number = ''] =
        /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*",?)*)\})? ([^ ]+)$/.exec(line) ??
        wrong(line, 'This is no sample');
      const value = number === '+Inf' ? Number.POSITIVE_INFINITY : Number(number);
      if (Number.isNaN(value)) wrong(line, 'This is no number');
      const key = `${name}{${labelText}}`;
      if (seen.has(key)) wrong(line, 'A sample is there twice');
      seen.add(key);
      const labels = Object.fromEntries(
        [...labelText.matchAll(/([a-zA-Z0-9_]+)="((?:[^"\\]|\\.)*)"/g)].map(([, label = '', text = '']) => [
          label,
          text.replace(/\\(.)/g, (_, char: string) => (char === 'n' ? '\n' : char)),
        ]),
      );
      const family =
        families.get(name) ?? families.get(name.replace(/_(bucket|sum|count)$/, '')) ?? wrong(line, 'It is of no family');
      family.samples.push({ name, labels, value });
    }
  }
  for (const [name, family] of families) if (family.type === 'histogram') assertHistogram(name, family);
  return families;
}

function assertHistogram(name: string, { samples }: Family): void {
  const series = Map.groupBy(samples, ({ labels: { le: _, ...labels } }) => JSON.stringify(labels));
  for (const [labels, some] of series) {
    const buckets = some.filter((sample) => sample.name === `${name}_bucket`);
    const counts = buckets.map(({ value }) => value);
    const bounds = buckets.map(({ labels: { le } }) => (le === '+Inf' ? Number.POSITIVE_INFINITY : Number(le)));
    const count = some.find((sample) => sample.name === `${name}_count`)?.value;
    const isGrowing = [counts, bounds].every((row) => row.every((value, at) => at === 0 || value >= (row[at - 1] ?? 0)));
    const hasSum = some.some((sample) => sample.name === `${name}_sum`);
    if (!isGrowing || !hasSum || bounds.at(-1) !== Number.POSITIVE_INFINITY || counts.at(-1) !== count)
      throw new Error(`The histogram ${name}${labels} is not one`);
  }
}
