import { aws } from './clients/aws.ts';
import { awsBuckets } from './clients/aws-buckets.ts';
import { awsMany } from './clients/aws-many.ts';
import { awsVersions } from './clients/aws-versions.ts';
import { boto3 } from './clients/boto3.ts';
import { boto3Keys } from './clients/boto3-keys.ts';
import type { S3ClientCase } from './clients/client-case.ts';
import { rclone } from './clients/rclone.ts';
import { restic } from './clients/restic.ts';
import { s3cmd } from './clients/s3cmd.ts';
import { s3fs } from './clients/s3fs.ts';

/** What well-known S3 clients do in daily use; each case passes or throws. They know an address and credentials and nothing else. */
export const s3ClientCases: readonly S3ClientCase[] = [
  aws,
  awsBuckets,
  awsMany,
  awsVersions,
  s3cmd,
  rclone,
  boto3,
  boto3Keys,
  s3fs,
  restic,
];
