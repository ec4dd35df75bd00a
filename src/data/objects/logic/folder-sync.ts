import { fstat, fsync } from './fs.ts';

interface Running {
  readonly current: Promise<void>;
  next: Promise<void> | undefined;
}

const running = new Map<string, Running>();

/**
 * Makes added and removed entries of an open folder durable. Writers of one folder share the work: all who come while it is being
 * synced wait for one more turn together. Errors: those of fsync, for all who waited for that turn.
 */
export function syncFolder(fd: number): Promise<void> {
  const { dev, ino } = fstat(fd);
  const name = `${dev}:${ino}`;
  const turn = running.get(name);
  if (!turn) return begin(name, fd);
  turn.next ??= turn.current.then(
    () => begin(name, fd),
    () => begin(name, fd),
  );
  return turn.next;
}

function begin(name: string, fd: number): Promise<void> {
  const current = fsync(fd);
  const turn: Running = { current, next: undefined };
  running.set(name, turn);
  const end = (): void => {
    if (running.get(name) === turn && !turn.next) running.delete(name);
  };
  current.then(end, end);
  return current;
}
