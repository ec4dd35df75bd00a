import { hasAcls, objectAcl } from '../access/ownership.ts';
import { assertAclAccepted, assertNothingNew, readAcl } from '../access/read-acl.ts';
import type { S3Answer } from '../answer.ts';
import type { S3Call } from '../call.ts';
import { readError, readRef } from '../object-ref.ts';

export async function putObjectAcl(call: S3Call): Promise<S3Answer> {
  const { backend, settings } = call;
  const ref = readRef(call);
  try {
    if (!hasAcls(settings)) {
      assertNothingNew(settings, await readAcl(call, settings.owner));
      return { headers: { 'x-amz-version-id': (await backend.head(ref)).versionId } };
    }
    const { owner } = objectAcl(settings, await backend.head(ref));
    const acl = await readAcl(call, owner);
    assertAclAccepted(settings, acl);
    const { versionId } = await backend.update(ref, (current) => ({
      acl: { ...acl, owner: objectAcl(settings, current).owner },
    }));
    return { headers: { 'x-amz-version-id': versionId } };
  } catch (error) {
    throw readError(error, ref);
  }
}
