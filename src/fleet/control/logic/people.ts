import { Authenticator } from '#gen/cellar/identity/v1/credentials_pb.ts';
import { Code, Fault, failedPrecondition, notFound } from '#kernel/fault.ts';
import type { Micro } from '#kernel/services/service.ts';

export interface Person {
  readonly id: string;
  readonly name: string;
}

/** Users, as they are looked up for administrators. */
export interface People {
  /** By name or id. Errors: `not_found` with reason `user_missing`; `failed_precondition` with reason `user_disabled`. */
  able(word: string, signal: AbortSignal): Promise<Person>;
  /** By name or id; an id that belongs to nobody any more stays what it is. */
  idOf(word: string, signal: AbortSignal): Promise<string>;
}

export function createPeople({ client }: Pick<Micro, 'client'>): People {
  const users = client(Authenticator);
  const find = async (id: string, signal: AbortSignal) => {
    try {
      return await users.findUser({ id, orName: true }, { signal });
    } catch (error) {
      if (Fault.from(error).code === Code.NotFound) return undefined;
      throw error;
    }
  };
  return {
    async able(word, signal) {
      const found = await find(word, signal);
      if (!found)
        throw notFound(`There is no user "${word}"`, { reason: 'user_missing', hint: '`cellar user list` shows them.' });
      if (found.disabled) throw failedPrecondition(`User "${found.name}" is disabled`, { reason: 'user_disabled' });
      return { id: found.id, name: found.name };
    },
    idOf: async (word, signal) => (await find(word, signal))?.id ?? word,
  };
}
