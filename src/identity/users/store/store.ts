export interface StoredUser {
  readonly id: string;
  readonly name: string;
  readonly displayName: string;
  readonly isAdmin: boolean;
  readonly isDisabled: boolean;
  /** Argon2id as a PHC string; empty: the user cannot sign in with a password. */
  readonly password: string;
  readonly createTimeMs: number;
}

/** A session or a personal token; of its secret only the hash is kept. */
export interface StoredCredential {
  readonly id: string;
  /** SHA-256 of the token, hex. */
  readonly hash: string;
  readonly userId: string;
  readonly kind: 'session' | 'token';
  readonly name: string;
  readonly scopes: readonly string[];
  readonly createTimeMs: number;
  /** Undefined: does not expire. */
  readonly expireTimeMs: number | undefined;
  readonly lastUseTimeMs: number;
}

export interface StoredKey {
  readonly accessKey: string;
  readonly userId: string;
  readonly name: string;
  readonly scopes: readonly string[];
  /** Sealed; see `kernel/vault.ts`. */
  readonly secret: Uint8Array;
  readonly createTimeMs: number;
}

export interface UserChange {
  readonly displayName?: string;
  readonly isAdmin?: boolean;
  readonly isDisabled?: boolean;
}

/** What a new credential or key needs to be still so when it is written. */
export interface Still {
  /** Id of the session or token it is made with; absent: not asked. */
  readonly credential?: string | undefined;
  /** The user's password as it was checked; absent: not asked. */
  readonly password?: string;
}

/**
 * Keeps users and their credentials. Whatever withdraws a credential or changes what it allows makes the epoch greater in the same
 * transaction. There is always an enabled administrator once there was one.
 */
export interface UserStore {
  /** Errors: `already_exists`. */
  createUser(user: StoredUser): Promise<void>;
  /** Creates only when there are no users at all; result: whether it did. */
  createFirstUser(user: StoredUser): Promise<boolean>;
  hasUsers(): Promise<boolean>;
  getUser(name: string): Promise<StoredUser | undefined>;
  getUserById(id: string): Promise<StoredUser | undefined>;
  /** By name, after `after`. */
  listUsers(after: string, limit: number): Promise<readonly StoredUser[]>;
  /** Disabling ends sessions. Errors: `not_found`; `failed_precondition` when no administrator would be left. */
  updateUser(name: string, change: UserChange): Promise<StoredUser>;
  /** With sessions, tokens and keys. Errors: as `updateUser`. */
  deleteUser(name: string): Promise<void>;
  /** Ends sessions and tokens. Errors: `not_found`. */
  setPassword(name: string, password: string): Promise<void>;
  /** The same password with newer parameters: ends nothing; does nothing when it was changed meanwhile. */
  rehashPassword(id: string, from: string, to: string): Promise<void>;

  /**
   * Errors: `unauthenticated` when the user is gone or disabled or `still` no longer holds. A session beyond `countMax` of the user's ends the
   * oldest; a token beyond it is `resource_exhausted`.
   */
  addCredential(credential: StoredCredential, countMax: number, still: Still): Promise<void>;
  findCredential(hash: string): Promise<{ readonly credential: StoredCredential; readonly user: StoredUser } | undefined>;
  /** Writes when credentials were last used; never turns one back. */
  touchCredentials(lastUse: ReadonlyMap<string, number>): Promise<void>;
  /** Newest first. */
  listTokens(userId: string): Promise<readonly StoredCredential[]>;
  /** Result: whether the user had it. */
  deleteCredential(userId: string, kind: StoredCredential['kind'], id: string): Promise<boolean>;
  /** Removes sessions that ended before; tokens stay, so that their owners see that they expired. */
  deleteEndedSessions(expiredBeforeMs: number, unusedSinceMs: number): Promise<void>;

  /** Errors: as `addCredential` of a token. */
  addKey(key: StoredKey, countMax: number, still: Still): Promise<void>;
  findKey(accessKey: string): Promise<{ readonly key: StoredKey; readonly user: StoredUser } | undefined>;
  hasKeys(): Promise<boolean>;
  listKeys(userId: string): Promise<readonly StoredKey[]>;
  deleteKey(userId: string, accessKey: string): Promise<boolean>;

  /** The epoch at once and after every change. */
  watchEpoch(signal: AbortSignal): AsyncIterable<number>;
}
