import { uriEncode } from '#lib/uri-encode.ts';
import { xml } from '#lib/xml.ts';
import type { S3Answer } from '../answer.ts';
import type { ObjectInfo } from '../backend.ts';
import type { S3Call } from '../call.ts';
import { S3Error } from '../errors.ts';
import { createFormBody } from '../form/form-body.ts';
import { formHeaders } from '../form/form-headers.ts';
import { readFormSignature } from '../form/form-signature.ts';
import { assertPostAllowed, parsePostPolicy } from '../form/post-policy.ts';
import { readForm } from '../form/read-form.ts';
import { readNewObject } from '../new-object.ts';
import { checksumHeaders, quoteEtag, writeHeaders } from '../object-headers.ts';

/** Uploads by a form of a browser: who may, and what, says the policy that somebody signed and put into the form. */
export async function postObject(call: S3Call): Promise<S3Answer> {
  using posted = await readForm(call.headers.get('content-type'), call.raw());
  const { fields: given, fileName, bytes } = posted;
  // biome-ignore lint/suspicious/noTemplateCurlyInString: what the form has there.
  const key = given.get('key')?.replaceAll('${filename}', () => fileName);
  if (!key) {
    throw new S3Error(
      'InvalidArgument',
      "Bucket POST must contain a field named 'key'. If it is specified, please check the order of the fields.",
      {
        fields: { ArgumentName: 'key', ArgumentValue: '' },
      },
    );
  }
  const fields = new Map([...given, ['key', key], ['bucket', call.bucket]]);
  const headers = formHeaders(fields, call.headers);
  const policyText = given.get('policy');
  const signed = policyText === undefined ? undefined : readFormSignature(given, policyText);
  // Nothing is looked at before it is known who promises it.
  let limits = { sizeBytesMin: 0, sizeBytesMax: call.limits.bodySizeBytesMax };
  const form = await call.form({
    key,
    headers,
    signed,
    check: () => {
      if (policyText === undefined) return;
      const policy = parsePostPolicy(policyText);
      assertPostAllowed(policy, fields, call.nowMs);
      limits = { sizeBytesMin: policy.sizeBytesMin, sizeBytesMax: Math.min(limits.sizeBytesMax, policy.sizeBytesMax) };
    },
    body: (algorithm) => createFormBody({ bytes, headers, ...limits, algorithm }),
  });
  const object = await readNewObject(form, form.settings);
  const info = await form.backend.put({ bucket: form.bucket, key }, form.body(), object);
  return answerForm(form, fields, info);
}

/** Source: "POST Object", S3: `success_action_redirect` and `success_action_status`. */
function answerForm(
  { bucket, key, settings, headers: asked }: S3Call,
  fields: ReadonlyMap<string, string>,
  info: ObjectInfo,
): S3Answer {
  const etag = quoteEtag(info.etag);
  const headers = { etag, ...checksumHeaders(info.checksums), ...writeHeaders(info, settings) };
  const redirect = readUrl(fields.get('success_action_redirect') ?? fields.get('redirect'));
  if (redirect) {
    const query = `bucket=${uriEncode(bucket)}&key=${uriEncode(key)}&etag=${uriEncode(etag)}`;
    redirect.search = redirect.search === '' ? query : `${redirect.search}&${query}`;
    return { status: 303, headers: { ...headers, location: redirect.href } };
  }
  const location = `http://${asked.get('host') ?? ''}/${bucket}/${uriEncode(key, true)}`;
  const status = fields.get('success_action_status');
  if (status === '201') {
    const content = [xml('Location', location), xml('Bucket', bucket), xml('Key', key), xml('ETag', etag)];
    return { status: 201, headers: { ...headers, location }, content: { name: 'PostResponse', children: content } };
  }
  return { status: status === '200' ? 200 : 204, headers: { ...headers, location } };
}

/** Where a browser may be sent: to web pages. What is no such address is as if it were not there. */
function readUrl(text: string | undefined): URL | undefined {
  const url = text === undefined ? null : URL.parse(text);
  return url && (url.protocol === 'http:' || url.protocol === 'https:') ? url : undefined;
}
