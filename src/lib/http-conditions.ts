import { parseHttpDate } from './http-date.ts';

/** The conditional headers of a request, as sent; times in milliseconds since 1970. */
export interface Conditions {
  readonly ifMatch?: string | undefined;
  readonly ifNoneMatch?: string | undefined;
  readonly ifModifiedSinceMs?: number | undefined;
  readonly ifUnmodifiedSinceMs?: number | undefined;
}

/** What the conditions are held against. `etag` has no quotes. */
export interface Subject {
  readonly etag: string;
  readonly mtimeMs: number;
}

/**
 * Decides a conditional read. The two date conditions count only when their ETag counterpart is absent.
 * Units: dates have whole seconds, so the object's time is cut to seconds first. Source: RFC 9110, 13.2.2.
 */
export function decideRead(conditions: Conditions, subject: Subject): 'proceed' | 'not_modified' | 'failed' {
  const { ifMatch, ifNoneMatch, ifModifiedSinceMs, ifUnmodifiedSinceMs } = conditions;
  const changedMs = Math.floor(subject.mtimeMs / 1_000) * 1_000;
  if (ifMatch !== undefined) {
    if (!matches(ifMatch, subject.etag)) return 'failed';
  } else if (ifUnmodifiedSinceMs !== undefined && changedMs > ifUnmodifiedSinceMs) return 'failed';
  if (ifNoneMatch !== undefined) return matches(ifNoneMatch, subject.etag) ? 'not_modified' : 'proceed';
  if (ifModifiedSinceMs !== undefined && changedMs <= ifModifiedSinceMs) return 'not_modified';
  return 'proceed';
}

/** Decides a conditional write against what is there now. `'missing'`: `If-Match` was asked and nothing is there. */
export function decideWrite(conditions: Conditions, current: Subject | undefined): 'proceed' | 'failed' | 'missing' {
  const { ifMatch, ifNoneMatch } = conditions;
  if (ifMatch !== undefined) {
    if (current === undefined) return 'missing';
    if (!matches(ifMatch, current.etag)) return 'failed';
  }
  return ifNoneMatch !== undefined && current !== undefined && matches(ifNoneMatch, current.etag) ? 'failed' : 'proceed';
}

/** Is a part wanted, or the whole, since it has changed? `If-Range` is a strong ETag or an exact date. Source: RFC 9110, 13.1.5. */
export function isSameForRange(ifRange: string, { etag, mtimeMs }: Subject): boolean {
  if (ifRange.startsWith('"')) return ifRange === `"${etag}"`;
  return parseHttpDate(ifRange) === Math.floor(mtimeMs / 1_000) * 1_000;
}

function matches(header: string, etag: string): boolean {
  return header.split(',').some((item) => {
    const tag = item
      .trim()
      .replace(/^W\//, '')
      .replace(/^"(.*)"$/, '$1');
    return tag === '*' || tag === etag;
  });
}
