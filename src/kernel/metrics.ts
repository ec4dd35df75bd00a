import type { CallRecord } from './calls/dispatcher.ts';
import type { Metrics } from './services/service.ts';

/** The numbers of one name, ready to travel between processes; JSON. */
export interface MetricFamily {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  /** `suffix` follows the name, such as `_bucket`; `labels` is rendered already, such as `method="x",code="ok"`. */
  readonly samples: readonly { readonly suffix: string; readonly labels: string; readonly value: number }[];
}

export type Labels = Readonly<Record<string, string>>;

export interface LabelledValue {
  readonly labels: Labels;
  readonly value: number;
}

/** Label sets of one name are bounded: those beyond are counted together under `other`. */
const seriesMax = 1000;

/** Upper bounds of the call duration histogram. Unit: seconds. */
const callBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

interface Series {
  readonly labels: string;
  value: number;
  readonly read: (() => number) | undefined;
  /** Of histograms: counts per bucket, not yet summed up, the last above all bounds. */
  readonly counts: number[] | undefined;
}

interface Family {
  readonly help: string;
  readonly type: MetricFamily['type'];
  readonly buckets: readonly number[];
  readonly series: Map<string, Series>;
  /** Of gauges whose label sets come and go. */
  readonly read?: () => readonly LabelledValue[];
}

/** The numbers of one process. */
export class ProcessMetrics implements Metrics {
  readonly #families = new Map<string, Family>();
  readonly #others: (() => Promise<readonly MetricFamily[]>) | undefined;
  readonly #calls = new Map<string, (durationMs: number) => void>();

  /** `others` brings the families of other processes, which `render` adds to its own. */
  constructor(others?: () => Promise<readonly MetricFamily[]>) {
    this.#others = others;
  }

  counter(name: string, help: string, labels: Labels = {}): { add(amount?: number): void } {
    const series = this.#series(name, help, 'counter', labels);
    return {
      add: (amount = 1) => {
        series.value += amount;
      },
    };
  }

  gauge(name: string, help: string, read: () => number, labels: Labels = {}): void {
    this.#series(name, help, 'gauge', labels, [], read);
  }

  gauges(name: string, help: string, read: () => readonly LabelledValue[]): void {
    assertName(name, {});
    this.#families.set(name, { help, type: 'gauge', buckets: [], series: new Map(), read });
  }

  histogram(name: string, help: string, buckets: readonly number[], labels: Labels = {}): { observe(value: number): void } {
    const series = this.#series(name, help, 'histogram', labels, buckets);
    const counts = series.counts ?? [];
    return {
      observe: (value) => {
        let index = 0;
        while (index < buckets.length && value > (buckets[index] as number)) index++;
        counts[index] = (counts[index] ?? 0) + 1;
        series.value += value;
      },
    };
  }

  /** Counts a finished call; meant for `Surroundings.observe`. */
  readonly observeCall = (record: CallRecord): void => {
    const code = record.fault?.code ?? 'ok';
    const key = `${record.service} ${record.method.name} ${code}`;
    let observe = this.#calls.get(key);
    if (!observe) {
      const { service } = record;
      const method = record.method.name;
      const count = this.counter('cellar_calls_total', 'Calls served.', { service, method, code });
      const duration = this.histogram('cellar_call_duration_seconds', 'How long calls took.', callBuckets, { service, method });
      observe = (durationMs) => {
        count.add();
        duration.observe(durationMs / 1000);
      };
      this.#calls.set(key, observe);
    }
    observe(record.durationMs);
  };

  families(): MetricFamily[] {
    return [...this.#families].map(([name, { help, type, buckets, series, read }]) => ({
      name,
      help,
      type,
      samples: read ? boundedSamples(read()) : [...series.values()].flatMap((one) => samplesOf(one, buckets)),
    }));
  }

  async render(): Promise<string> {
    return renderMetrics([...this.families(), ...((await this.#others?.()) ?? [])]);
  }

  #series(
    name: string,
    help: string,
    type: Family['type'],
    labels: Labels,
    buckets: readonly number[] = [],
    read?: () => number,
  ): Series {
    let family = this.#families.get(name);
    if (!family) {
      assertName(name, labels);
      family = { help, type, buckets, series: new Map() };
      this.#families.set(name, family);
    }
    if (family.type !== type) throw new Error(`Metric ${name} is a ${family.type}, not a ${type}`);
    let key = renderLabels(labels);
    if (!family.series.has(key) && family.series.size >= seriesMax) {
      key = renderLabels(others(labels));
    }
    let series = family.series.get(key);
    if (!series || read) {
      const counts = type === 'histogram' ? new Array<number>(buckets.length + 1).fill(0) : undefined;
      series = { labels: key, value: 0, read, counts };
      family.series.set(key, series);
    }
    return series;
  }
}

/** Prometheus text format, version 0.0.4; families of one name from several processes become one. */
export function renderMetrics(families: readonly MetricFamily[]): string {
  const byName = new Map<string, MetricFamily[]>();
  for (const family of families) byName.set(family.name, [...(byName.get(family.name) ?? []), family]);
  let out = '';
  for (const [name, parts] of byName) {
    const [first] = parts;
    if (!first) continue;
    out += `# HELP ${name} ${first.help.replace(/\\/g, '\\\\').replace(/\n/g, '\\n')}\n# TYPE ${name} ${first.type}\n`;
    for (const { suffix, labels, value } of parts.flatMap((part) => part.samples)) {
      out += `${name}${suffix}${labels ? `{${labels}}` : ''} ${renderNumber(value)}\n`;
    }
  }
  return out;
}

/** The same families with one more label on every sample. */
export function withLabel(families: readonly MetricFamily[], name: string, value: string): MetricFamily[] {
  const label = renderLabels({ [name]: value });
  return families.map((family) => ({
    ...family,
    samples: family.samples.map((sample) => ({ ...sample, labels: sample.labels ? `${label},${sample.labels}` : label })),
  }));
}

/** Memory, processor, event loop and uptime of this process. */
export function addProcessMetrics(metrics: Metrics, process_: string): void {
  const labels = { process: process_ };
  const startSeconds = Date.now() / 1000 - process.uptime();
  metrics.gauge('process_resident_memory_bytes', 'Resident memory.', () => process.memoryUsage.rss(), labels);
  metrics.gauge('process_heap_bytes', 'Heap in use.', () => process.memoryUsage().heapUsed, labels);
  metrics.gauge('process_cpu_seconds_total', 'Processor time used.', () => cpuSeconds(), labels);
  metrics.gauge('process_start_time_seconds', 'Start, since 1970.', () => startSeconds, labels);
  metrics.gauge(
    'process_event_loop_utilization',
    'Share of time the event loop was busy since start.',
    () => performance.eventLoopUtilization().utilization,
    labels,
  );
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

function samplesOf(series: Series, buckets: readonly number[]): MetricFamily['samples'] {
  const { labels, counts } = series;
  if (!counts) return [{ suffix: '', labels, value: series.read ? series.read() : series.value }];
  const prefix = labels ? `${labels},` : '';
  let sum = 0;
  const bucketSamples = counts.map((count, index) => {
    sum += count;
    const bound = buckets[index];
    return { suffix: '_bucket', labels: `${prefix}le="${bound === undefined ? '+Inf' : bound}"`, value: sum };
  });
  return [...bucketSamples, { suffix: '_sum', labels, value: series.value }, { suffix: '_count', labels, value: sum }];
}

/** Those of one label set are added up, and so are those beyond the bound. */
function boundedSamples(values: readonly LabelledValue[]): MetricFamily['samples'] {
  const sums = new Map<string, number>();
  for (const { labels, value } of values) {
    const own = renderLabels(labels);
    const key = sums.has(own) || sums.size < seriesMax ? own : renderLabels(others(labels));
    sums.set(key, (sums.get(key) ?? 0) + value);
  }
  return [...sums].map(([labels, value]) => ({ suffix: '', labels, value }));
}

const others = (labels: Labels): Labels => Object.fromEntries(Object.keys(labels).map((label) => [label, 'other']));

function renderLabels(labels: Labels): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}="${value.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n')}"`)
    .join(',');
}

function renderNumber(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  return value === Number.NEGATIVE_INFINITY ? '-Inf' : String(value);
}

function assertName(name: string, labels: Labels): void {
  if (!/^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(name)) throw new Error(`"${name}" is not a name for a metric`);
  for (const label of Object.keys(labels)) {
    if (!/^[a-zA-Z_][a-zA-Z0-9_]*$/.test(label)) throw new Error(`"${label}" is not a name for a label of ${name}`);
  }
}
