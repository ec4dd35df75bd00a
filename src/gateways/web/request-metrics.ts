import type { Log } from '#kernel/log.ts';
import type { RestRecord } from '#kernel/rest/transcoder.ts';
import type { Metrics } from '#kernel/services/service.ts';

/** Upper bounds. Unit: seconds. */
const buckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** Counts REST requests by method and status class, and logs those that failed by our fault. */
export function requestMetrics(metrics: Metrics, log: Log): (record: RestRecord) => void {
  // By class of status, then by method: no key is put together for each request.
  const series: Map<string, { observe(value: number): void }>[] = [];
  return ({ method, status, durationMs, trace, fault }) => {
    const name = method?.name ?? 'none';
    const kind = Math.floor(status / 100);
    series[kind] ??= new Map();
    let one = series[kind].get(name);
    if (!one) {
      const help = 'REST requests by method and class of status.';
      one = metrics.histogram('cellar_http_request_seconds', help, buckets, { method: name, status: `${kind}xx` });
      series[kind].set(name, one);
    }
    one.observe(durationMs / 1000);
    if (status >= 500 && status !== 503)
      log.warn('a REST request failed', { method: name, status, trace: trace.traceId, reason: fault?.reason });
  };
}
