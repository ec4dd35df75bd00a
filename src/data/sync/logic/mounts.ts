import { lstatSync, statSync } from 'node:fs';
import { isWithin, parentOf } from '#lib/tree-path.ts';
import { diskPath } from './disk-path.ts';
import type { Mounts } from './storage.ts';

export interface DiskMountsOptions {
  readonly root: string;
  /** Those known from before. */
  readonly known: readonly string[];
  /** Called when others are known than before. */
  readonly onChange: (paths: readonly string[]) => void;
}

/** Folders below the datasource's in which other disks are mounted, as far as walks have met them: they differ in device from their parents. */
export class DiskMounts implements Mounts {
  readonly #options: DiskMountsOptions;
  readonly #known: Set<string>;

  constructor(options: DiskMountsOptions) {
    this.#options = options;
    this.#known = new Set(options.known);
  }

  has(path: string): boolean {
    return this.#known.has(path);
  }

  note(path: string): void {
    if (this.#known.has(path) || this.#known.size >= knownMax) return;
    this.#known.add(path);
    this.#options.onChange([...this.#known]);
  }

  forget(path: string): void {
    if (this.#known.delete(path)) this.#options.onChange([...this.#known]);
  }

  forgetWithin(path: string): void {
    for (const mount of [...this.#known]) if (isWithin(mount, path)) this.forget(mount);
  }

  lostAt(path: string): readonly string[] {
    return [...this.#known].filter((mount) => (isWithin(mount, path) || isWithin(path, mount)) && !this.#isMounted(mount));
  }

  areThere(): boolean {
    return [...this.#known].every((mount) => this.#isMounted(mount));
  }

  #isMounted(path: string): boolean {
    const { root } = this.#options;
    try {
      const parent = parentOf(path);
      const above = parent === '' ? statSync(root) : lstatSync(diskPath(root, parent));
      return lstatSync(diskPath(root, path)).dev !== above.dev;
    } catch {
      return false; // Not there or not to be seen: either way its disk is not.
    }
  }
}

/** More mounts than anybody has below one folder; beyond it they are not guarded. */
const knownMax = 1000;
