import { invalidArgument } from '#kernel/fault.ts';

/** What lies where something is to be copied to. */
export interface TargetSeen {
  readonly kind: 'file' | 'folder' | 'absent';
  /** Written with a slash at its end. */
  readonly isFolderWritten: boolean;
  /** For messages. */
  readonly shown: string;
}

/**
 * True when copies go into the target under their own names, false when the target is the copy's name; as `cp` does everywhere, except
 * that a target written with a slash need not exist.
 * Errors: `invalid_argument` when several things, or a folder, cannot go there.
 */
export function goesInto(target: TargetSeen, sources: { readonly count: number; readonly hasFolder: boolean }): boolean {
  if (target.kind === 'file' && (target.isFolderWritten || sources.count > 1 || sources.hasFolder)) {
    throw invalidArgument(`Cannot copy to ${target.shown}: it is a file`);
  }
  if (target.kind === 'folder') return true;
  if (target.kind === 'absent' && sources.count > 1 && !target.isFolderWritten) {
    throw invalidArgument(`Cannot copy several to ${target.shown}: there is no such folder`, {
      hint: 'Write a slash behind it to have it made.',
    });
  }
  return target.isFolderWritten;
}

/** Last part of a path; empty for `.`, `..` and roots, whose content then goes straight into the target. */
export function baseName(path: string): string {
  const name = path.replace(/\/+$/, '').split('/').at(-1) ?? '';
  return name === '.' || name === '..' ? '' : name;
}

/** True when a name from a server may become a file of this machine: one step down, never elsewhere. */
export function isSafeName(name: string): boolean {
  return (
    name !== '' && name !== '.' && name !== '..' && !/[/\0]/.test(name) && !(process.platform === 'win32' && /[\\:]/.test(name))
  );
}
