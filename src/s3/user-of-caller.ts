import { Role } from '#gen/cellar/kernel/v1/options_pb.ts';
import type { Caller } from '#kernel/calls/caller.ts';
import type { S3User } from './call.ts';

/** A user of this installation in the words of S3. */
export const userOfCaller = ({ id, name, roles }: Caller): S3User => ({
  id,
  displayName: name,
  isAdministrator: roles.includes(Role.ADMIN),
});
