/** True for what S3 allows as a bucket's name: 3 to 63 lower-case letters, digits, dots and hyphens, no address. */
export function isBucketName(name: string): boolean {
  return /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(name) && !name.includes('..') && !/^\d{1,3}(?:\.\d{1,3}){3}$/.test(name);
}
