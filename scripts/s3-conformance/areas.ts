/** The first pattern that a case's name fits says its area. */
const areas: readonly (readonly [RegExp, string])[] = [
  [/^test_(iam|sts|sns|s3select|utils)::/, ''],
  [/^test_headers::/, 'headers'],
  [/logging/, 'bucket logging'],
  [/transition|restore|read_through|cloud/, 'storage class transitions'],
  [/lifecycle|delete_marker_expiration/, 'lifecycle'],
  [/post_object/, 'POST object'],
  [/sse_|encrypt|_enc\b|_enc\[|enc_conflict|copy_enc|copy_part_enc/, 'encryption'],
  [/bucket_policy|bucketv2_policy|policy_status|policy_prefix/, 'bucket policy'],
  [/public_block|block_public|ignore_public/, 'public access block'],
  [/ownership|bucket_owner_|object_writer/, 'object ownership'],
  [/cors/, 'CORS'],
  [/object_lock/, 'object lock'],
  [/anon|list_buckets_invalid_auth|list_buckets_bad_auth|unauth/, 'anonymous'],
  [/object_raw_|presigned/, 'presigned'],
  [/acl|access_bucket|grants/, 'ACL'],
  [/tag/, 'tagging'],
  [/multi_object|multi_objectv2|delete_objects/, 'multi-delete'],
  [/version|delete_marker/, 'versioning'],
  [/checksum|cksum/, 'checksum'],
  [/multipart/, 'multipart'],
  [/copy/, 'copy'],
  [/if_?match|ifnone?match|if_none_match|modifiedsince|conditional/, 'conditional'],
  [/range/, 'range'],
  [/bucket_list|list_objects|bucketv2|key_count|listv2/, 'listing'],
  [/bucket/, 'bucket'],
];

/** Which part of S3 a case is about. */
export function areaOf(id: string): string {
  const found = areas.find(([pattern]) => pattern.test(id))?.[1] ?? 'object';
  return found === '' ? id.slice('test_'.length, id.indexOf('::')) : found;
}
