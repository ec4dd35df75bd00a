import type { NewObject } from '#s3/backend.ts';
import type { StoredObject } from '../store/store.ts';

/** What is kept of a new object besides its bytes and what is computed from them. */
export type StoredAttributes = Omit<StoredObject, 'etag' | 'checksums' | 'versionId' | 'envelope' | 'plainSizeBytes' | 'parts'>;

export function attributesOf(object: NewObject): StoredAttributes {
  const { headers = {}, tags, acl, owner, retention, hasLegalHold, storageClass } = object;
  return {
    headers,
    ...(tags && Object.keys(tags).length > 0 ? { tags } : {}),
    ...(acl ? { acl } : {}),
    ...(owner ? { owner } : {}),
    ...(retention ? { retention } : {}),
    ...(hasLegalHold === undefined ? {} : { hasLegalHold }),
    ...(storageClass === undefined || storageClass === 'STANDARD' ? {} : { storageClass }),
  };
}
