import { parseXml, XmlError } from '#lib/xml.ts';
import { S3Error } from '../errors.ts';
import { readTagSet } from '../tagging.ts';

const plainFields = new Set([
  'cache-control',
  'content-disposition',
  'content-encoding',
  'content-language',
  'content-md5',
  'content-type',
  'expires',
]);
/** Of the request itself, for conditions of bucket policies. */
const kept = ['host', 'referer', 'user-agent'];

/** The fields of a form as the headers of the PUT that they stand for. Errors: `MalformedXML`, `InvalidTag`, `InvalidArgument`. */
export function formHeaders(fields: ReadonlyMap<string, string>, request: ReadonlyMap<string, string>): Map<string, string> {
  const headers = new Map<string, string>();
  for (const name of kept) {
    const value = request.get(name);
    if (value !== undefined) headers.set(name, value);
  }
  for (const [name, value] of fields) {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: a header cannot hold control characters, nor can it be sent back as one.
    if (name !== 'tagging' && /[\u0000-\u0008\u000a-\u001f\u007f]/.test(value))
      throw new S3Error('InvalidArgument', `The field "${name}" has control characters`);
    if (name === 'acl') headers.set('x-amz-acl', value);
    else if (name === 'tagging') headers.set('x-amz-tagging', tagHeader(value));
    else if (plainFields.has(name) || name.startsWith('x-amz-')) headers.set(name, value);
  }
  // Those sign the form and say nothing about the object.
  for (const name of ['x-amz-algorithm', 'x-amz-credential', 'x-amz-date', 'x-amz-signature']) headers.delete(name);
  return headers;
}

/** Tags come as a document in a form, and as a query in a header. */
function tagHeader(document: string): string {
  try {
    return new URLSearchParams(readTagSet(parseXml(document, 'Tagging'), 'object')).toString();
  } catch (error) {
    throw error instanceof XmlError ? new S3Error('MalformedXML', undefined, { cause: error }) : error;
  }
}
