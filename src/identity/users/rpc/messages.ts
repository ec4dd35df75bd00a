import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { type Token, TokenSchema } from '#gen/cellar/identity/v1/credentials_pb.ts';
import { type User, UserSchema } from '#gen/cellar/identity/v1/users_pb.ts';
import { rolesOf } from '../logic/signing-in.ts';
import type { StoredCredential, StoredUser } from '../store/store.ts';

export function toUserMessage(user: StoredUser): User {
  const { id, name, displayName, isDisabled, createTimeMs } = user;
  return create(UserSchema, {
    id,
    name,
    displayName,
    roles: rolesOf(user),
    disabled: isDisabled,
    createTime: timestampFromMs(createTimeMs),
  });
}

export function toTokenMessage({ id, name, scopes, createTimeMs, expireTimeMs, lastUseTimeMs }: StoredCredential): Token {
  return create(TokenSchema, {
    id,
    name,
    scopes: [...scopes],
    createTime: timestampFromMs(createTimeMs),
    ...(expireTimeMs === undefined ? {} : { expireTime: timestampFromMs(expireTimeMs) }),
    ...(lastUseTimeMs > 0 ? { lastUseTime: timestampFromMs(lastUseTimeMs) } : {}),
  });
}
