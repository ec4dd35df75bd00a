import type { ContainerInspectInfo } from 'dockerode';
import type { SeenMember } from '../../driver/driver.ts';
import { readMarks } from '../logic/marks.ts';

/** A container as a member. `undefined`: it is not ours, or was never whole: its making was cut off. */
export function readContainer({ Config, RestartCount, State }: ContainerInspectInfo): SeenMember | undefined {
  const marks = readMarks(Config.Labels);
  if (!marks || marks.member === '' || State.Status === 'created') return undefined;
  const { StartedAt, ExitCode, Error: error, OOMKilled, Running, Paused, Status } = State;
  const seen = { ...marks, restarts: RestartCount, startedMs: Math.max(0, Date.parse(StartedAt) || 0) };
  if (Running || Status === 'restarting') return { ...seen, state: 'running', message: Paused ? 'is paused' : '' };
  const how = OOMKilled ? 'was ended by the system: it used more memory than it may' : endOf(ExitCode);
  return { ...seen, state: 'exited', exitCode: ExitCode, message: error ? `${how}: ${error}` : how };
}

/** Numbers above 128 are signals. Source: exit status of a shell, POSIX.1-2017, 2.8.2. */
const endOf = (code: number): string => (code === 137 ? 'was ended by force' : `ended with code ${code}`);
