import { boolean, integer, list, Secret, secret } from '#kernel/settings/setting.ts';

export const settings = {
  kmsKeys: list({
    default: [],
    meaning: 'Names of keys that objects can be encrypted with (aws:kms), besides "aws/s3". A key is made when it is first used.',
    needsRestart: true,
  }),
  encryptionKeyDays: integer({
    default: 365,
    min: 0,
    max: 36_500,
    unit: 'days',
    meaning: 'After so long, new objects are encrypted with a new key; old keys stay for old objects. 0: keys are used for ever.',
    needsRestart: true,
  }),
  staleUploadDays: integer({
    default: 7,
    min: 1,
    max: 3_650,
    unit: 'days',
    meaning: 'Multipart uploads that nobody has sent anything to for so long are given up.',
  }),
  lifecycleSeconds: integer({
    default: 3_600,
    min: 1,
    max: 86_400,
    unit: 'seconds',
    meaning: 'Time between two passes over the buckets that have lifecycle rules.',
  }),
  lifecycleDaySeconds: integer({
    default: 86_400,
    min: 1,
    max: 86_400,
    unit: 'seconds',
    meaning:
      'How long a day of a lifecycle rule is. Less than a real day is for tests: objects are deleted sooner than their rules say.',
  }),
  webhookSecret: secret({
    default: new Secret(''),
    meaning: 'Signs what is sent to receivers of notifications (header x-cellar-signature); empty: it is not signed.',
  }),
  webhooksToPrivate: boolean({
    default: false,
    meaning:
      'Whether notifications may go to this machine and to local networks. Then whoever may set the rules of a bucket can have requests sent to what is there.',
  }),
  allowsSignatureV2: boolean({
    default: false,
    needsRestart: true,
    meaning:
      'Whether requests, URLs and forms signed the old way (AWS Signature Version 2, HMAC-SHA1) are accepted. It covers less of a request than the one of today.',
  }),
};
