/**
 * Percent-encodes text the way AWS does: every byte of its UTF-8 form except `A-Z a-z 0-9 - . _ ~`.
 *
 * With `keepSlash` the `/` stays as it is, as in the canonical path of an S3 request.
 * Errors: `URIError` for text with a lone surrogate. Source: "Create a signed AWS API request", UriEncode().
 */
export function uriEncode(text: string, keepSlash = false): string {
  if (keepSlash ? isPlainPath.test(text) : isPlain.test(text)) return text;
  const encoded = encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
  return keepSlash ? encoded.replaceAll('%2F', '/') : encoded;
}

const isPlain = /^[A-Za-z0-9\-._~]*$/;
const isPlainPath = /^[A-Za-z0-9\-._~/]*$/;
