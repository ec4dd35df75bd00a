import { XMLParser } from 'fast-xml-parser';

/** One element to write: its children, or its text. `undefined` and `false` children are left out. */
export interface XmlElement {
  readonly name: string;
  readonly attributes?: Readonly<Record<string, string>>;
  readonly children: string | number | boolean | readonly XmlChild[];
}
export type XmlChild = XmlElement | undefined | false;

/** Short form for building elements; `undefined` content makes no element. */
export function xml(
  name: string,
  children: XmlElement['children'] | undefined,
  attributes?: XmlElement['attributes'],
): XmlElement | undefined {
  return children === undefined ? undefined : { name, children, ...(attributes ? { attributes } : {}) };
}

/** A whole document with its declaration. */
export const writeXml = (root: XmlElement): string => `<?xml version="1.0" encoding="UTF-8"?>\n${element(root)}`;

function element({ name, attributes = {}, children }: XmlElement): string {
  const opening = `${name}${Object.entries(attributes)
    .map(([key, value]) => ` ${key}="${escapeXml(value)}"`)
    .join('')}`;
  if (typeof children !== 'object') return `<${opening}>${escapeXml(String(children))}</${name}>`;
  return `<${opening}>${children.map((child) => (child ? element(child) : '')).join('')}</${name}>`;
}

const named: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&apos;' };

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this is about.
const isUnwritable = /[&<>"'\u0000-\u0008\u000b-\u001f\u007f\ufffe\uffff]/;
const unwritable = new RegExp(isUnwritable, 'g');

/** XML 1.0 cannot carry most control characters; S3 writes them as numbers all the same, and so do we. */
export function escapeXml(text: string): string {
  if (!isUnwritable.test(text)) return text;
  return text.replace(unwritable, (char) => named[char] ?? `&#x${char.charCodeAt(0).toString(16)};`);
}

/** A parsed element: text, or children by name. */
export interface XmlNode {
  readonly text: string;
  all(name: string): readonly XmlNode[];
  /** Text of the first child of that name. */
  value(name: string): string | undefined;
}

/** Why a document was refused; the message is safe to show. */
export class XmlError extends Error {
  override readonly name = 'XmlError';
}

/** Far more than the longest list of S3 has; reading takes time for each. */
const tagsMax = 250_000;
const cdataStart = '<![CDATA[';

const parser = new XMLParser({
  ignoreAttributes: true,
  ignoreDeclaration: true,
  parseTagValue: false,
  trimValues: false,
  processEntities: false,
  removeNSPrefix: true,
  isArray: () => true,
});

/**
 * Reads a small document whose root element is `rootName`.
 *
 * Document types and entities of its own are refused, so nothing can be expanded or loaded.
 * Errors: `XmlError` when it is not well formed, has another root, declares a document type or is far too long.
 */
export function parseXml(text: string, rootName: string): XmlNode {
  const plain = withoutSections(text);
  assertSize(plain);
  // What is wrong is found here, not by whoever first looks at the place.
  decodeEntities(plain);
  let document: unknown;
  try {
    document = parser.parse(plain, true);
  } catch (error) {
    throw new XmlError('The document is not well-formed XML', { cause: error });
  }
  const root = nodeOf(document).all(rootName)[0];
  if (!root) throw new XmlError(`The root element must be ${rootName}`);
  return root;
}

/** Comments left out and CDATA sections as the text they are; in one pass, since a pattern would begin anew at each that does not end. */
function withoutSections(text: string): string {
  let out = '';
  let at = 0;
  for (;;) {
    const start = text.indexOf('<!', at);
    if (start < 0) return at === 0 ? text : out + text.slice(at);
    const isCdata = text.startsWith(cdataStart, start);
    if (!isCdata && !text.startsWith('<!--', start)) throw new XmlError('Document type declarations are not allowed');
    const contentStart = start + (isCdata ? cdataStart.length : 4);
    const end = text.indexOf(isCdata ? ']]>' : '-->', contentStart);
    if (end < 0) throw new XmlError('The document is not well-formed XML');
    out += text.slice(at, start) + (isCdata ? escapeXml(text.slice(contentStart, end)) : '');
    at = end + 3;
  }
}

function assertSize(text: string): void {
  let tags = 0;
  for (let at = text.indexOf('<'); at >= 0; at = text.indexOf('<', at + 1)) tags += 1;
  if (tags > tagsMax) throw new XmlError('The document has too many elements');
}

function nodeOf(value: unknown): XmlNode {
  const fields: Readonly<Record<string, unknown>> = isRecord(value) ? value : {};
  const all = (name: string): readonly XmlNode[] => {
    const found = Object.hasOwn(fields, name) ? fields[name] : undefined;
    return found === undefined ? [] : (Array.isArray(found) ? found : [found]).map(nodeOf);
  };
  const text = isRecord(value) ? textOf(value['#text']) : textOf(value);
  return { text, all, value: (name) => all(name)[0]?.text };
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const textOf = (value: unknown): string =>
  Array.isArray(value) ? value.map(textOf).join('') : typeof value === 'string' ? decodeEntities(value) : '';

const characters: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

function decodeEntities(text: string): string {
  return text.replace(/&([^;\s&]{0,12};?)/g, (_, reference: string) => {
    const word = reference.endsWith(';') ? reference.slice(0, -1) : '';
    const number = /^#(?:x([0-9a-fA-F]+)|(\d+))$/.exec(word);
    const code = number ? Number.parseInt(number[1] ?? number[2]!, number[1] ? 16 : 10) : -1;
    const isCharacter = code >= 0 && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
    const character = isCharacter ? String.fromCodePoint(code) : Object.hasOwn(characters, word) ? characters[word] : undefined;
    if (character === undefined) throw new XmlError(`Unknown entity "&${reference}"`);
    return character;
  });
}
