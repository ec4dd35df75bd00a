import { Code, Fault } from '#kernel/fault.ts';

const known: Readonly<Record<string, readonly [Code, string]>> = {
  ENOENT: [Code.NotFound, 'there is no such file or folder'],
  ENOTDIR: [Code.FailedPrecondition, 'a part of its path is not a folder'],
  EISDIR: [Code.FailedPrecondition, 'it is a folder'],
  EEXIST: [Code.AlreadyExists, 'it exists already'],
  EACCES: [Code.PermissionDenied, 'you are not allowed to'],
  EPERM: [Code.PermissionDenied, 'you are not allowed to'],
  EROFS: [Code.PermissionDenied, 'its disk is read-only'],
  ENOSPC: [Code.ResourceExhausted, 'the disk is full'],
  EDQUOT: [Code.ResourceExhausted, 'your disk quota is used up'],
  EMFILE: [Code.ResourceExhausted, 'too many files are open'],
  ELOOP: [Code.FailedPrecondition, 'its symbolic links lead in a circle'],
  ENAMETOOLONG: [Code.InvalidArgument, 'its name is too long'],
};

/** A fault from an error of the operating system about a local file: `Cannot read /x: there is no such file or folder`. */
export function systemFault(action: string, path: string, error: unknown): Fault {
  if (error instanceof Fault) return error;
  if (error instanceof Error && error.name === 'AbortError') return Fault.from(error);
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
  const [kind, why] = known[code] ?? [Code.Unknown, error instanceof Error ? error.message : String(error)];
  return new Fault(kind, `Cannot ${action} ${path}: ${why}`, { cause: error });
}
