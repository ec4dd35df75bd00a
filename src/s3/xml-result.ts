import { type XmlChild, type XmlElement, xml } from '#lib/xml.ts';
import type { Owner } from './bucket-settings.ts';

export const namespace = 'http://s3.amazonaws.com/doc/2006-03-01/';

/** The root of an answer, in the namespace of S3. */
export const result = (name: string, children: XmlElement['children']): XmlElement => ({
  name,
  attributes: { xmlns: namespace },
  children,
});

export const ownerElement = ({ id, displayName }: Owner, name = 'Owner'): XmlChild =>
  xml(name, [xml('ID', id), xml('DisplayName', displayName)]);
