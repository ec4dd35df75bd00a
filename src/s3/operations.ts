import type { Operation } from './call.ts';
import { S3Error } from './errors.ts';
import type { OperationName } from './operation-names.ts';
import { abortMultipartUpload } from './operations/abort-multipart-upload.ts';
import { completeMultipartUpload } from './operations/complete-multipart-upload.ts';
import { copyObject } from './operations/copy-object.ts';
import { createBucket } from './operations/create-bucket.ts';
import { createMultipartUpload } from './operations/create-multipart-upload.ts';
import { deleteBucket } from './operations/delete-bucket.ts';
import { deleteObject } from './operations/delete-object.ts';
import { deleteObjects } from './operations/delete-objects.ts';
import { getBucketLocation } from './operations/get-bucket-location.ts';
import { getBucketVersioning } from './operations/get-bucket-versioning.ts';
import { getObject } from './operations/get-object.ts';
import { headBucket } from './operations/head-bucket.ts';
import { headObject } from './operations/head-object.ts';
import { listBuckets } from './operations/list-buckets.ts';
import { listMultipartUploads } from './operations/list-multipart-uploads.ts';
import { listObjects } from './operations/list-objects.ts';
import { listObjectsV2 } from './operations/list-objects-v2.ts';
import { listParts } from './operations/list-parts.ts';
import { putObject } from './operations/put-object.ts';
import { uploadPart } from './operations/upload-part.ts';
import { uploadPartCopy } from './operations/upload-part-copy.ts';

/** Those whose file is still to come. */
const notYet: Operation = async () => {
  throw new S3Error('NotImplemented');
};

/** What runs for each operation. */
export const operations: Readonly<Record<OperationName, Operation>> = {
  ListBuckets: listBuckets,
  CreateBucket: createBucket,
  HeadBucket: headBucket,
  DeleteBucket: deleteBucket,
  GetBucketAccelerateConfiguration: notYet,
  GetBucketAcl: notYet,
  PutBucketAcl: notYet,
  GetBucketCors: notYet,
  PutBucketCors: notYet,
  DeleteBucketCors: notYet,
  GetBucketEncryption: notYet,
  PutBucketEncryption: notYet,
  DeleteBucketEncryption: notYet,
  GetBucketLifecycleConfiguration: notYet,
  PutBucketLifecycleConfiguration: notYet,
  DeleteBucketLifecycle: notYet,
  GetBucketLocation: getBucketLocation,
  GetBucketLogging: notYet,
  GetBucketNotificationConfiguration: notYet,
  PutBucketNotificationConfiguration: notYet,
  GetBucketOwnershipControls: notYet,
  PutBucketOwnershipControls: notYet,
  DeleteBucketOwnershipControls: notYet,
  GetBucketPolicy: notYet,
  PutBucketPolicy: notYet,
  DeleteBucketPolicy: notYet,
  GetBucketPolicyStatus: notYet,
  GetBucketReplication: notYet,
  GetBucketRequestPayment: notYet,
  PutBucketRequestPayment: notYet,
  GetBucketTagging: notYet,
  PutBucketTagging: notYet,
  DeleteBucketTagging: notYet,
  GetBucketVersioning: getBucketVersioning,
  PutBucketVersioning: notYet,
  GetBucketWebsite: notYet,
  GetObjectLockConfiguration: notYet,
  PutObjectLockConfiguration: notYet,
  GetPublicAccessBlock: notYet,
  PutPublicAccessBlock: notYet,
  DeletePublicAccessBlock: notYet,
  ListObjects: listObjects,
  ListObjectsV2: listObjectsV2,
  ListObjectVersions: notYet,
  ListMultipartUploads: listMultipartUploads,
  DeleteObjects: deleteObjects,
  PostObject: notYet,
  GetObject: getObject,
  HeadObject: headObject,
  PutObject: putObject,
  CopyObject: copyObject,
  DeleteObject: deleteObject,
  GetObjectAcl: notYet,
  PutObjectAcl: notYet,
  GetObjectAttributes: notYet,
  GetObjectLegalHold: notYet,
  PutObjectLegalHold: notYet,
  GetObjectRetention: notYet,
  PutObjectRetention: notYet,
  GetObjectTagging: notYet,
  PutObjectTagging: notYet,
  DeleteObjectTagging: notYet,
  CreateMultipartUpload: createMultipartUpload,
  UploadPart: uploadPart,
  UploadPartCopy: uploadPartCopy,
  CompleteMultipartUpload: completeMultipartUpload,
  AbortMultipartUpload: abortMultipartUpload,
  ListParts: listParts,
};
