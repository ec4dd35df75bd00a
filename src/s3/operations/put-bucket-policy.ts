import { parsePolicy } from '../access/policy.ts';
import type { S3Answer } from '../answer.ts';
import type { S3Call } from '../call.ts';
import { S3Error } from '../errors.ts';

const textSizeBytesMax = 20 * 1024;

/** Keeps the policy as it was sent, once it was found to be one. */
export async function putBucketPolicy(call: S3Call): Promise<S3Answer> {
  const { backend, bucket } = call;
  const text = await readText(call);
  const { isPublic } = parsePolicy(text, bucket);
  await backend.changeBucketSettings(bucket, (current) => {
    if (isPublic && current.publicAccessBlock?.blockPublicPolicy)
      throw new S3Error('AccessDenied', 'Public policies are blocked by the public access block of the bucket');
    return { ...current, policy: text };
  });
  return { status: 204 };
}

async function readText({ body }: S3Call): Promise<string> {
  const { bytes, sizeBytes, verify } = body();
  if (sizeBytes !== undefined && sizeBytes > textSizeBytesMax)
    throw new S3Error('MalformedPolicy', 'Policy exceeds the maximum allowed size of 20 KB');
  const chunks = await Array.fromAsync(bytes);
  await verify();
  return Buffer.concat(chunks).toString();
}
