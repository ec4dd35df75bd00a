import { contentTypeOf as typeOfName } from '#lib/content-type.ts';

/** The type of an object that came without one, by the end of its key. */
export function contentTypeOf(key: string): string {
  return key.endsWith('/') ? 'application/x-directory' : typeOfName(key);
}
