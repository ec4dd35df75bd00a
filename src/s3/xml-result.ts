import { type XmlChild, type XmlElement, xml } from '#lib/xml.ts';

/** The root of an answer, in the namespace of S3. */
export const result = (name: string, children: XmlElement['children']): XmlElement => ({
  name,
  attributes: { xmlns: 'http://s3.amazonaws.com/doc/2006-03-01/' },
  children,
});

/** Times in answers: ISO 8601 with milliseconds. */
export const isoTime = (timeMs: number): string => new Date(timeMs).toISOString();

/** There are no S3 accounts here, so every owner is the same. */
export const owner = (name = 'Owner'): XmlChild => xml(name, [xml('ID', 'cellar'), xml('DisplayName', 'cellar')]);
