/** The `Content-Security-Policy` of a content that users stored: it may be anything, and shown by a browser it must not act in our name. */
export const sandboxPolicy = "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; sandbox";
