import { aclElement } from '../access/acl.ts';
import { bucketAcl } from '../access/ownership.ts';
import type { S3Answer } from '../answer.ts';
import type { S3Call } from '../call.ts';

export const getBucketAcl = async ({ settings }: S3Call): Promise<S3Answer> => ({ content: aclElement(bucketAcl(settings)) });
