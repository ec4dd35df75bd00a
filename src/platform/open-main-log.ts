import { createLog, type Log, type LogLevel } from '#kernel/log.ts';
import { LogFile } from '#kernel/process/log-file.ts';
import { homePaths } from '#kernel/process/paths.ts';
import type { LiveSettings } from '#kernel/settings/live-settings.ts';
import { settingValue } from '#kernel/settings/resolve.ts';
import type { Undo } from './undo.ts';

export interface MainLogOptions {
  readonly home: string;
  readonly settings: LiveSettings;
  /** Takes every log line too, newline included. */
  readonly onLine?: ((line: string) => void) | undefined;
  readonly undo: Undo;
}

export interface MainLog {
  readonly log: Log;
  /** Takes a line of another process, newline included. */
  readonly writeLine: (line: string) => void;
}

/** The log file, and what ends the process when nothing else catches it. */
export function openMainLog({ home, settings: live, onLine, undo }: MainLogOptions): MainLog {
  const setting = (key: string): unknown => settingValue(live.settings, key);
  const { log: path } = homePaths(home);
  const file = new LogFile({
    path,
    sizeMaxBytes: Number(setting('log.fileSizeMaxMib')) * 1_048_576,
    filesMax: Number(setting('log.filesMax')),
    onProblem: (error) => process.stderr.write(`Cannot write the log ${path}: ${String(error)}\n`),
  });
  const writeLine = (line: string): void => {
    file.write(line);
    onLine?.(line);
  };
  const log = createLog({ level: () => setting('log.level') as LogLevel, write: writeLine }).with({ service: 'main' });
  const onCrash = (error: unknown): void => {
    log.error('the main process failed unexpectedly', { error });
    process.stderr.write(`Cellar failed unexpectedly: ${String(error)}\n`);
    process.exit(1);
  };
  process.on('uncaughtException', onCrash);
  undo.push(() => {
    process.off('uncaughtException', onCrash);
    file.close();
  });
  return { log, writeLine };
}
