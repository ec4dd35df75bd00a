import { xml } from '#lib/xml.ts';
import { isPublicAcl } from '../access/acl.ts';
import { bucketAcl } from '../access/ownership.ts';
import { storedPolicy } from '../access/policy.ts';
import type { S3Answer } from '../answer.ts';
import type { S3Call } from '../call.ts';
import { result } from '../xml-result.ts';

/** Says whether the bucket is open to the world, by its policy or its ACL. */
export async function getBucketPolicyStatus({ bucket, settings }: S3Call): Promise<S3Answer> {
  const { policy, publicAccessBlock } = settings;
  const byPolicy = policy !== undefined && !publicAccessBlock?.restrictPublicBuckets && storedPolicy(policy, bucket).isPublic;
  const byAcl = !publicAccessBlock?.ignorePublicAcls && isPublicAcl(bucketAcl(settings));
  return { content: result('PolicyStatus', [xml('IsPublic', byPolicy || byAcl)]) };
}
