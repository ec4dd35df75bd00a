import { compareUtf8 } from '#lib/utf8-order.ts';
import { type XmlElement, type XmlNode, xml } from '#lib/xml.ts';
import type { Tags } from './bucket-settings.ts';
import { S3Error } from './errors.ts';
import { result } from './xml-result.ts';

/** Source: S3, "Categorizing your storage using tags". Lengths are characters. */
const limits = { object: 10, bucket: 50, name: 128, value: 256 } as const;

/** The document of `PutObjectTagging` and `PutBucketTagging`. Errors: `MalformedXML`, `InvalidTag`. */
export function readTagSet(document: XmlNode, kind: 'object' | 'bucket'): Tags {
  const set = document.all('TagSet')[0];
  if (!set) throw new S3Error('MalformedXML');
  return checked(readTags(set), kind);
}

/** The `Tag` elements of an element, unchecked. */
export function readTags(node: XmlNode): (readonly [name: string, value: string])[] {
  return node.all('Tag').map((tag) => {
    const [name, value] = [tag.value('Key'), tag.value('Value')];
    if (name === undefined || value === undefined) throw new S3Error('MalformedXML');
    return [name, value] as const;
  });
}

/** The header `x-amz-tagging`, shaped like a query. Errors: `InvalidArgument`, `InvalidTag`. */
export function readTagHeader(header: string | undefined): Tags | undefined {
  if (header === undefined) return undefined;
  const pairs = header
    .split('&')
    .filter((pair) => pair !== '')
    .map((pair) => {
      const at = pair.indexOf('=');
      return [decode(at < 0 ? pair : pair.slice(0, at)), at < 0 ? '' : decode(pair.slice(at + 1))] as const;
    });
  return checked(pairs, 'object');
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch (cause) {
    throw new S3Error(
      'InvalidArgument',
      "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.",
      { fields: { ArgumentName: 'x-amz-tagging', ArgumentValue: text }, cause },
    );
  }
}

function checked(pairs: readonly (readonly [string, string])[], kind: 'object' | 'bucket'): Tags {
  const refuse = (message: string, name = ''): never => {
    throw new S3Error('InvalidTag', message, name === '' ? {} : { fields: { TagKey: name } });
  };
  if (pairs.length > limits[kind])
    refuse(`${kind === 'object' ? 'Object' : 'Bucket'} tags cannot be greater than ${limits[kind]}`);
  for (const [name, value] of pairs) {
    if (name === '' || [...name].length > limits.name) refuse('The TagKey you have provided is invalid', name);
    if ([...value].length > limits.value) refuse('The TagValue you have provided is invalid', name);
    if (/^aws:/i.test(name)) refuse('System tags cannot be added by requester', name);
  }
  if (new Set(pairs.map(([name]) => name)).size < pairs.length) refuse('Cannot provide multiple Tags with the same key');
  return Object.fromEntries(pairs);
}

/** By name, so that the same tags are always told the same way. */

export const tagElements = (tags: Tags): XmlElement['children'] & object =>
  Object.entries(tags)
    .sort(([a], [b]) => compareUtf8(a, b))
    .map(([name, value]) => xml('Tag', [xml('Key', name), xml('Value', value)]));

export const taggingResult = (tags: Tags): XmlElement => result('Tagging', [xml('TagSet', tagElements(tags))]);
