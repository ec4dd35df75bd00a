import { type XmlChild, type XmlNode, xml } from '#lib/xml.ts';
import type { CorsRule } from './bucket-settings.ts';
import { S3Error } from './errors.ts';

const rulesMax = 100;
const methods = new Set(['GET', 'PUT', 'HEAD', 'POST', 'DELETE']);

/** Errors: `MalformedXML`, `InvalidRequest` for what no rule may say. */
export function readCorsRules(document: XmlNode): readonly CorsRule[] {
  const rules = document.all('CORSRule').map(readRule);
  if (rules.length === 0 || rules.length > rulesMax) throw new S3Error('MalformedXML');
  return rules;
}

function readRule(node: XmlNode): CorsRule {
  const texts = (name: string): string[] => node.all(name).map(({ text }) => text.trim());
  const [origins, allowed, headers] = [texts('AllowedOrigin'), texts('AllowedMethod'), texts('AllowedHeader')];
  if (origins.length === 0 || allowed.length === 0) throw new S3Error('MalformedXML');
  const wrong = allowed.find((method) => !methods.has(method));
  if (wrong !== undefined)
    throw new S3Error('InvalidRequest', `Found unsupported HTTP method in CORS config. Unsupported method is ${wrong}`);
  for (const [name, patterns] of [['AllowedOrigin', origins] as const, ['AllowedHeader', headers] as const])
    for (const pattern of patterns)
      if (pattern.split('*').length > 2)
        throw new S3Error('InvalidRequest', `${name} "${pattern}" can not have more than one wildcard.`);
  const age = node.value('MaxAgeSeconds')?.trim();
  if (age !== undefined && !/^\d{1,9}$/.test(age)) throw new S3Error('MalformedXML');
  const id = node.value('ID');
  if (id !== undefined && id.length > 255)
    throw new S3Error('InvalidRequest', 'The ID of a CORS rule has at most 255 characters');
  return {
    ...(id === undefined ? {} : { id }),
    origins,
    methods: allowed,
    headers,
    exposedHeaders: texts('ExposeHeader'),
    ...(age === undefined ? {} : { maxAgeSeconds: Number(age) }),
  };
}

export const corsElements = (rules: readonly CorsRule[]): XmlChild[] =>
  rules.map(({ id, origins, methods: allowed, headers, exposedHeaders, maxAgeSeconds }) =>
    xml('CORSRule', [
      xml('ID', id),
      ...allowed.map((text) => xml('AllowedMethod', text)),
      ...origins.map((text) => xml('AllowedOrigin', text)),
      ...headers.map((text) => xml('AllowedHeader', text)),
      ...exposedHeaders.map((text) => xml('ExposeHeader', text)),
      xml('MaxAgeSeconds', maxAgeSeconds),
    ]),
  );
