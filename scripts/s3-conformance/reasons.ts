/** The first pattern that a failing case fits says why it fails. */
const reasons: readonly (readonly [RegExp, string])[] = [
  [/^test_iam::/, 'IAM: Cellar has its own users and policies (REST and command), not the IAM API'],
  [/^test_sts::/, 'STS: no temporary credentials of roles'],
  [/^test_sns::/, 'SNS: topics are addresses in the notification configuration, not objects of an SNS API'],
  [/^test_s3select::/, 'S3 Select: no SQL over the content of objects'],
  [/logging/, 'Access logs are not written into buckets; who did what is in the audit and the metrics'],
  [/transition|restore|read_through|cloud/, 'Storage class transitions: there is one kind of storage, and no cloud behind it'],
  [/account_usage|head_bucket_usage|bucket_head_extended/, 'Usage headers are an extension of Ceph'],
];

export const unexplained = 'Not explained yet';

export const reasonOf = (id: string): string => reasons.find(([pattern]) => pattern.test(id))?.[1] ?? unexplained;
