/** True for an error of the system with one of these codes, such as `ENOENT`. Source: errno(3). */
export function isSystemError(error: unknown, ...codes: readonly SystemCode[]): boolean {
  return error instanceof Error && 'code' in error && codes.some((code) => code === error.code);
}

export type SystemCode =
  | 'EACCES'
  | 'EDQUOT'
  | 'EDQUOT'
  | 'EEXIST'
  | 'EHOSTDOWN'
  | 'EIO'
  | 'EILSEQ'
  | 'EINVAL'
  | 'EISDIR'
  | 'ELOOP'
  | 'EMLINK'
  | 'ENAMETOOLONG'
  | 'ENODEV'
  | 'ENOENT'
  | 'ENOSPC'
  | 'ENOTCONN'
  | 'ENOTDIR'
  | 'ENOTEMPTY'
  | 'ENOSYS'
  | 'ENOTSUP'
  | 'ENXIO'
  | 'EOPNOTSUPP'
  | 'EPERM'
  | 'EROFS'
  | 'ESRCH'
  | 'ESTALE'
  | 'ETIMEDOUT'
  | 'EXDEV';
