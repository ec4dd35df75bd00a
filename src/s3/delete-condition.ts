import { parseHttpDate } from '#lib/http-date.ts';
import type { DeleteCondition, ObjectRef } from './backend.ts';
import { S3Error } from './errors.ts';
import { assertDeletable, parseIsoTime } from './object-lock.ts';

/** What must be true of an object that is to be deleted, as it was written; empty: nothing. */
export interface DeleteConditions {
  readonly ifMatch?: string | undefined;
  readonly lastModified?: string | undefined;
  readonly size?: string | undefined;
}

export const readDeleteConditions = (headers: ReadonlyMap<string, string>): DeleteConditions => ({
  ifMatch: headers.get('if-match'),
  lastModified: headers.get('x-amz-if-match-last-modified-time'),
  size: headers.get('x-amz-if-match-size'),
});

/**
 * Decides whether the object found may be deleted. Only versions that are named are protected by locks, since a delete without a
 * version destroys nothing where locks are. Of a delete marker only `*` is true.
 * Errors from it: `PreconditionFailed`, `AccessDenied`. Errors at once: `InvalidArgument` for a condition that is none.
 */
export function deleteCondition(
  { versionId }: ObjectRef,
  { ifMatch, lastModified, size }: DeleteConditions,
  bypassesGovernance: boolean,
  nowMs: number,
): DeleteCondition | undefined {
  const modifiedMs = lastModified === undefined ? undefined : (parseHttpDate(lastModified) ?? parseIsoTime(lastModified));
  if ((lastModified !== undefined && modifiedMs === undefined) || (size !== undefined && !/^\d{1,15}$/.test(size)))
    throw new S3Error('InvalidArgument', 'The condition of the delete is not a time or size');
  const tag = ifMatch?.trim().replace(/^"(.*)"$/, '$1');
  if (tag === undefined && modifiedMs === undefined && size === undefined && versionId === undefined) return undefined;
  return (found) => {
    const holds =
      (tag === undefined || tag === '*' || tag === found?.etag) &&
      (size === undefined || Number(size) === found?.sizeBytes) &&
      (modifiedMs === undefined || (found !== undefined && seconds(modifiedMs) === seconds(found.mtimeMs)));
    if (!holds) throw new S3Error('PreconditionFailed');
    if (found && versionId !== undefined) assertDeletable(found, bypassesGovernance, nowMs);
  };
}

const seconds = (timeMs: number): number => Math.floor(timeMs / 1_000);
