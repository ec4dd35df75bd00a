/** An argon2id hash with all that is needed to check it. */
export interface PasswordHash {
  readonly memoryKib: number;
  readonly passes: number;
  readonly parallelism: number;
  readonly salt: Uint8Array;
  readonly hash: Uint8Array;
}

/** Writes `$argon2id$v=19$m=47104,t=1,p=1$<salt>$<hash>`. Source: PHC string format. */
export function formatPhc({ memoryKib, passes, parallelism, salt, hash }: PasswordHash): string {
  return `$argon2id$v=19$m=${memoryKib},t=${passes},p=${parallelism}$${base64(salt)}$${base64(hash)}`;
}

/** Undefined when the text is no such string. */
export function parsePhc(text: string): PasswordHash | undefined {
  const match = /^\$argon2id\$v=19\$m=(\d{1,8}),t=(\d{1,3}),p=(\d{1,3})\$([A-Za-z0-9+/]{22,86})\$([A-Za-z0-9+/]{22,86})$/.exec(
    text,
  );
  if (!match) return undefined;
  const [, memoryKib, passes, parallelism, salt = '', hash = ''] = match;
  return {
    memoryKib: Number(memoryKib),
    passes: Number(passes),
    parallelism: Number(parallelism),
    salt: Buffer.from(salt, 'base64'),
    hash: Buffer.from(hash, 'base64'),
  };
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64').replace(/=+$/, '');
}
