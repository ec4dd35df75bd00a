import { isSignatureV2Valid } from '#lib/sigv2.ts';
import { algorithm, isTextSignatureValid, parseCredential, SigV4Error, timestampMs } from '#lib/sigv4.ts';
import type { FormSignature } from '../call.ts';
import { S3Error } from '../errors.ts';

/** Who signed the policy of a form. `policy` is its Base64 as it came. Errors: `InvalidArgument` for fields that are missing or unreadable. */
export function readFormSignature(fields: ReadonlyMap<string, string>, policy: string): FormSignature {
  const need = (name: string): string => {
    const value = fields.get(name);
    if (value) return value;
    throw new S3Error(
      'InvalidArgument',
      `Bucket POST must contain a field named '${name}'. If it is specified, please check the order of the fields.`,
      {
        fields: { ArgumentName: name, ArgumentValue: '' },
      },
    );
  };
  if (!fields.has('x-amz-algorithm') && !fields.has('x-amz-credential')) {
    const [accessKey, signature] = [need('awsaccesskeyid'), need('signature')];
    return { accessKey, version: 'AWS', isValid: (secret) => isSignatureV2Valid(secret, policy, signature) };
  }
  if (need('x-amz-algorithm') !== algorithm) throw new S3Error('InvalidArgument', `x-amz-algorithm only supports "${algorithm}"`);
  const [timestamp, signature] = [need('x-amz-date'), need('x-amz-signature')];
  const timeMs = timestampMs(timestamp);
  if (timeMs === undefined) throw new S3Error('InvalidArgument', 'x-amz-date must have the form yyyyMMddTHHmmssZ');
  try {
    const { accessKey, scope } = parseCredential(need('x-amz-credential'), timestamp, 'malformed_query');
    return {
      accessKey,
      version: algorithm,
      timeMs,
      scope,
      isValid: (secret) => isTextSignatureValid(secret, scope, policy, signature),
    };
  } catch (error) {
    if (error instanceof SigV4Error) throw new S3Error('InvalidArgument', error.message, { cause: error });
    throw error;
  }
}
