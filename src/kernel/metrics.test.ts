import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProcessMetrics, renderMetrics, withLabel } from './metrics.ts';

test('renders the text format', async () => {
  const metrics = new ProcessMetrics();
  metrics.counter('jobs_total', 'Jobs.', { kind: 'a "b"\n\\' }).add(2);
  metrics.counter('jobs_total', 'Jobs.', { kind: 'a "b"\n\\' }).add();
  metrics.gauge('queue', 'Waiting.', () => 7);
  const histogram = metrics.histogram('took_seconds', 'Time.', [0.1, 1]);
  for (const value of [0.1, 0.5, 5]) histogram.observe(value);
  assert.equal(
    await metrics.render(),
    [
      '# HELP jobs_total Jobs.',
      '# TYPE jobs_total counter',
      'jobs_total{kind="a \\"b\\"\\n\\\\"} 3',
      '# HELP queue Waiting.',
      '# TYPE queue gauge',
      'queue 7',
      '# HELP took_seconds Time.',
      '# TYPE took_seconds histogram',
      'took_seconds_bucket{le="0.1"} 1',
      'took_seconds_bucket{le="1"} 2',
      'took_seconds_bucket{le="+Inf"} 3',
      'took_seconds_sum 5.6',
      'took_seconds_count 3',
      '',
    ].join('\n'),
  );
});

test('joins the families of several processes under one heading', () => {
  const one = new ProcessMetrics();
  one.counter('calls_total', 'Calls.', { method: 'm' }).add();
  const text = renderMetrics([...withLabel(one.families(), 'process', 'main'), ...withLabel(one.families(), 'process', 'x')]);
  assert.equal(text.match(/# TYPE/g)?.length, 1);
  assert.match(text, /calls_total\{process="main",method="m"\} 1\ncalls_total\{process="x",method="m"\} 1/);
});

test('gauges whose label sets come and go show those of now, within the same bound', () => {
  const metrics = new ProcessMetrics();
  let hosts = ['a', 'b'];
  metrics.gauges('hosts', 'Hosts.', () => hosts.map((host) => ({ labels: { host }, value: 2 })));
  const labels = () => metrics.families()[0]?.samples.map((sample) => `${sample.labels} ${sample.value}`);
  assert.deepEqual(labels(), ['host="a" 2', 'host="b" 2']);
  hosts = ['b', 'b'];
  assert.deepEqual(labels(), ['host="b" 4']);
  hosts = Array.from({ length: 1500 }, (_, at) => String(at));
  assert.equal(labels()?.length, 1001);
  assert.equal(labels()?.at(-1), 'host="other" 1000');
});

test('bounds the label sets of a name', () => {
  const metrics = new ProcessMetrics();
  for (let index = 0; index < 1500; index++) metrics.counter('paths_total', 'Paths.', { path: `/${index}` }).add();
  const [family] = metrics.families();
  assert.equal(family?.samples.length, 1001);
  assert.equal(family?.samples.find(({ labels }) => labels === 'path="other"')?.value, 500);
});
