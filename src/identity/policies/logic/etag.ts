import { invalidArgument } from '#kernel/fault.ts';

/** A policy's etag: the version it was written with. */
export function etagOf(policy: { readonly version: number }): string {
  return `v${policy.version}`;
}

/** The version an etag stands for; undefined for the empty one, which matches whatever is stored. Errors: `invalid_argument`. */
export function parseEtag(etag: string): number | undefined {
  if (etag === '') return undefined;
  if (!/^v\d{1,15}$/.test(etag)) {
    throw invalidArgument(`Cannot use the etag "${etag.slice(0, 40)}": it is not one of a policy`, {
      reason: 'etag_invalid',
      hint: 'Pass the etag exactly as it came with the policy, or none.',
    });
  }
  return Number(etag.slice(1));
}
