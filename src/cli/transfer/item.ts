/** One thing to copy. */
export type Item =
  | {
      readonly kind: 'file';
      readonly from: string;
      readonly to: string /** Unit: bytes. */;
      readonly size: number;
      readonly modifyMs: number;
    }
  /** A folder to be there, even if nothing is in it. */
  | { readonly kind: 'folder'; readonly from: string; readonly to: string }
  /** Seen and left out, such as a pipe. */
  | { readonly kind: 'skipped'; readonly from: string; readonly why: string };
