import { appendFileSync, closeSync, openSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { isSystemError } from '#lib/system-error.ts';

export interface LogFileOptions {
  readonly path: string;
  /** Size at which it is put aside as `PATH.1`. Unit: bytes. */
  readonly sizeMaxBytes: number;
  /** Files kept, with the current one. */
  readonly filesMax: number;
  /** Told once when the disk refuses lines, and again after they were taken in between. */
  readonly onProblem: (error: unknown) => void;
}

/**
 * A log that takes whole lines and bounds what it keeps. Written at once: what was logged before a crash is there after it.
 * A full disk never stops the service: lines are dropped while it lasts, and told of when it is over.
 */
export class LogFile {
  readonly #options: LogFileOptions;
  #file: number | undefined;
  #sizeBytes = 0;
  #dropped = 0;

  constructor(options: LogFileOptions) {
    this.#options = options;
  }

  readonly write = (line: string): void => {
    const { path, sizeMaxBytes } = this.#options;
    try {
      if (this.#file === undefined) {
        this.#file = openSync(path, 'a', 0o600);
        this.#sizeBytes = statSync(path).size;
      }
      if (this.#dropped > 0) {
        const message = JSON.stringify({
          time: new Date().toISOString(),
          level: 'error',
          message: 'log lines were lost while the disk refused them',
          dropped: this.#dropped,
        });
        this.#sizeBytes += writeSync(this.#file, `${message}\n`);
        this.#dropped = 0;
      }
      this.#sizeBytes += writeSync(this.#file, line);
      if (this.#sizeBytes >= sizeMaxBytes) this.#rotate();
    } catch (error) {
      if (this.#dropped++ === 0) this.#options.onProblem(error);
      this.close();
    }
  };

  close(): void {
    if (this.#file === undefined) return;
    const file = this.#file;
    this.#file = undefined;
    try {
      closeSync(file);
    } catch (error) {
      this.#options.onProblem(error);
    }
  }

  #rotate(): void {
    const { path, filesMax } = this.#options;
    this.close();
    rmSync(`${path}.${filesMax - 1}`, { force: true });
    for (let number = filesMax - 2; number >= 1; number--) moveIfThere(`${path}.${number}`, `${path}.${number + 1}`);
    if (filesMax > 1) moveIfThere(path, `${path}.1`);
    else rmSync(path, { force: true });
    appendFileSync(path, '', { mode: 0o600 });
  }
}

function moveIfThere(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if (!isSystemError(error, 'ENOENT')) throw error;
  }
}
