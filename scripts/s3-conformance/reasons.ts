/** The first pattern that a failing case fits says why it fails. */
const reasons: readonly (readonly [RegExp, string])[] = [
  [/^test_iam::/, 'IAM: users and their policies are managed by REST and the command, not by an IAM API; out of scope'],
  [/^test_sts::/, 'STS: there are no roles and no credentials for a while; out of scope'],
  [/^test_sns::/, 'SNS: a topic is an address in the notification configuration, not an object of an SNS API; out of scope'],
  [/^test_s3select::/, 'S3 Select: no SQL over the content of objects; out of scope'],
  [/logging/, 'Access logs are not written into buckets: who did what is in the audit and the metrics'],
  [
    /transition|restore|read_through|cloud/,
    'Storage classes are kept as a word: there is one kind of storage, and no cloud behind it to move objects to',
  ],
  [/account_usage|head_bucket_usage|bucket_head_extended/, 'Usage headers and documents are an extension of Ceph'],
  [/grant_email/, 'Users have no e-mail addresses: ACLs grant to canonical ids'],
  [/IfExists/, 'The case expects that an Allow whose condition does not hold takes a right from the owner; it fails on Ceph too'],
  [/request_obj_tag/, 'The case sets the tag on the client of another user than the one that writes; it fails on Ceph too'],
  [/sse_kms_no_key/, 'aws:kms without a key encrypts with the key "aws/s3", as on AWS'],
  [/object_read_unreadable/, 'The key is good UTF-8 with a control character, which is a good key here; it fails on Ceph too'],
  [
    /contentlength_mismatch_below/,
    'What is left of a body that is longer than its Content-Length is no HTTP, and ends the connection; it fails on Ceph too',
  ],
  [
    /^test_headers::.*(authorization|contentlength|date)_/,
    'The case takes a header away that the current client puts back when it signs; it fails on Ceph too',
  ],
];

export const unexplained = 'Not explained yet';

export const reasonOf = (id: string): string => reasons.find(([pattern]) => pattern.test(id))?.[1] ?? unexplained;
