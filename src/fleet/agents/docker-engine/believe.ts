import type Docker from 'dockerode';
import { failedPrecondition } from '#kernel/fault.ts';

/*
 * What stands at an engine's address may be something else, such as a proxy that wants people to log in: it answers, and the client hands on
 * whatever came. Taken as it is, a strange answer would look as if everything were gone, or break whoever reads it.
 */

const lists = ['listContainers', 'listNetworks', 'listServices', 'listTasks', 'listNodes', 'listConfigs', 'listSecrets'] as const;

/** The same engine, whose lists are lists of objects or are refused. Errors: `failed_precondition` with reason `engine_unsuitable`. */
export function believing(docker: Docker): Docker {
  for (const name of lists) {
    const ask = docker[name].bind(docker) as (options?: object) => Promise<unknown>;
    const what = name.slice('list'.length).toLowerCase();
    Object.assign(docker, { [name]: async (options?: object) => listOf(await ask(options), what) });
  }
  const volumes = docker.listVolumes.bind(docker) as (options?: object) => Promise<unknown>;
  const listVolumes = async (options?: object): Promise<unknown> => {
    const answer = believe(await volumes(options), 'volumes') as { readonly Volumes?: unknown };
    // Without any it says null.
    return { ...answer, Volumes: listOf(answer.Volumes ?? [], 'volumes') };
  };
  return Object.assign(docker, { listVolumes });
}

function listOf(answer: unknown, what: string): readonly object[] {
  if (Array.isArray(answer)) return answer.map((one: unknown) => believe(one, what));
  throw strange(what);
}

/** An object, all of whose named parts are objects. Errors: as above. */
export function believe<T>(answer: T, what: string, ...names: readonly (keyof T)[]): T & object {
  if (isPlain(answer) && names.every((name) => isPlain(answer[name]))) return answer;
  throw strange(what);
}

const isPlain = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value);

const strange = (what: string): Error =>
  failedPrecondition(`What answers at the engine's address tells of ${what} as no engine does`, {
    reason: 'engine_unsuitable',
    hint: 'See that the address is right, and that nothing stands in between.',
  });
