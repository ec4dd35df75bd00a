import type { StoredCredential, StoredKey, StoredUser } from './store.ts';

export interface UserRow {
  readonly id: string;
  readonly name: string;
  readonly display_name: string;
  readonly is_admin: number;
  readonly is_disabled: number;
  readonly password: string;
  readonly create_time: number;
}

export interface CredentialRow {
  readonly id: string;
  readonly hash: string;
  readonly user_id: string;
  readonly kind: StoredCredential['kind'];
  readonly name: string;
  readonly scopes: string;
  readonly create_time: number;
  readonly expire_time: number | null;
  readonly last_use_time: number;
}

export interface KeyRow {
  readonly access_key: string;
  readonly user_id: string;
  readonly name: string;
  readonly scopes: string;
  readonly secret: Uint8Array;
  readonly create_time: number;
}

export function toUser(row: UserRow): StoredUser {
  return {
    id: row.id,
    name: row.name,
    displayName: row.display_name,
    isAdmin: row.is_admin === 1,
    isDisabled: row.is_disabled === 1,
    password: row.password,
    createTimeMs: row.create_time,
  };
}

export function toCredential(row: CredentialRow): StoredCredential {
  return {
    id: row.id,
    hash: row.hash,
    userId: row.user_id,
    kind: row.kind,
    name: row.name,
    scopes: row.scopes.split(' '),
    createTimeMs: row.create_time,
    expireTimeMs: row.expire_time ?? undefined,
    lastUseTimeMs: row.last_use_time,
  };
}

export function toKey(row: KeyRow): StoredKey {
  return {
    accessKey: row.access_key,
    userId: row.user_id,
    name: row.name,
    scopes: row.scopes.split(' '),
    secret: row.secret,
    createTimeMs: row.create_time,
  };
}
