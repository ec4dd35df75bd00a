/**
 * A key as the database keeps it. PostgreSQL cannot keep NUL in a text, and SQLite's functions end a text there, so NUL becomes two
 * characters, and so does the one that begins those; the order of keys and their prefixes stay.
 */
export function encodeKey(key: string): string {
  return key.includes('\0') || key.includes('\x01') ? key.replaceAll('\x01', '\x01\x02').replaceAll('\0', '\x01\x01') : key;
}

export function decodeKey(text: string): string {
  return text.includes('\x01') ? text.replaceAll('\x01\x01', '\0').replaceAll('\x01\x02', '\x01') : text;
}
