import type { Caller } from '#kernel/calls/caller.ts';
import type { Micro } from '#kernel/services/service.ts';
import type { S3Record } from '#s3/handler.ts';
import { isS3Read } from './s3-access.ts';

/** Upper bounds. Unit: seconds. */
const buckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120];

/** Counts S3 requests by operation and code, and notes writes in the audit. */
export function recordS3({ metrics, audit }: Pick<Micro, 'metrics' | 'audit'>): (record: S3Record<Caller>) => void {
  const series = new Map<string, { observe(value: number): void }>();
  return ({ operation, caller, bucket, key, code, durationMs }) => {
    const name = `${operation} ${code}`;
    let one = series.get(name);
    if (!one) {
      one = metrics.histogram('cellar_s3_request_seconds', 'S3 requests by operation and code.', buckets, {
        operation: operation ?? 'none',
        code,
      });
      series.set(name, one);
    }
    one.observe(durationMs / 1000);
    if (!caller || !operation || isS3Read(operation)) return;
    audit({ caller, method: `s3.${operation}`, fields: { bucket, ...(key ? { key } : {}) }, code, durationMs });
  };
}
