/**
 * True for a name that a new bucket may have: 3 to 63 of `a-z 0-9 . -`, beginning and ending with a letter or digit, made of parts
 * that are good host names, and not like an address. Source: S3, "General purpose bucket naming rules".
 */
export function isBucketName(name: string): boolean {
  return (
    /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(name) &&
    !/\.\.|\.-|-\./.test(name) &&
    !/^\d+\.\d+\.\d+\.\d+$/.test(name) &&
    !/^(xn--|sthree-|amzn-s3-demo-)|(-s3alias|--ol-s3|\.mrap|--x-s3|--table-s3)$/.test(name)
  );
}
