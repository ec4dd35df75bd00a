import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import type { Database } from '#kernel/database/database.ts';
import { Code, Fault, failedPrecondition, invalidArgument, notFound } from '#kernel/fault.ts';
import type { Blueprint } from '../../blueprints/logic/blueprint.ts';
import { type Problem, parseBlueprint } from '../../blueprints/logic/parse-blueprint.ts';
import type { FleetStore } from '../store/store.ts';
import type { KnownBlueprint } from './control-parts.ts';

/** All blueprints: those built in, and those that administrators have added. Texts are parsed once. */
export interface BlueprintShelf {
  /** By name. */
  list(): Promise<readonly KnownBlueprint[]>;
  /** Errors: `not_found` with reason `blueprint_missing`. */
  get(name: string): Promise<KnownBlueprint>;
  /** What a cluster was made from. Errors: `data_loss`. */
  byDigest(digest: string): Promise<Blueprint>;
  /** Errors: `invalid_argument` with all problems; `failed_precondition` for a name that is built in. */
  put(name: string, text: string): Promise<KnownBlueprint>;
  /** Errors: `not_found`; `failed_precondition` with reason `blueprint_used`. */
  remove(name: string): Promise<void>;
}

const folder = new URL('../../blueprints/built-in/', import.meta.url);

export function createBlueprintShelf(database: Database, store: FleetStore): BlueprintShelf {
  const parsed = new Map<string, Blueprint>();
  let reading: Promise<ReadonlyMap<string, KnownBlueprint>> | undefined;

  /** Those built in, read when somebody first asks; their texts are kept, so that clusters made from an older one keep it. */
  const builtIn = (): Promise<ReadonlyMap<string, KnownBlueprint>> => {
    reading ??= readBuiltIn().catch((error: unknown) => {
      reading = undefined;
      throw error;
    });
    return reading;
  };

  async function readBuiltIn(): Promise<ReadonlyMap<string, KnownBlueprint>> {
    const found = new Map<string, KnownBlueprint>();
    for (const file of (await readdir(folder)).filter((name) => name.endsWith('.yaml')).sort()) {
      const text = await readFile(new URL(file, folder), 'utf8');
      const known = { ...read(text), text, isBuiltIn: true };
      found.set(known.blueprint.name, known);
      // Not listed as added: only the text is kept.
      await database.transaction(async (tx) => {
        await store.putBlueprint(tx, known.blueprint.name, known.digest, text);
        await store.removeBlueprint(tx, known.blueprint.name);
      });
    }
    return found;
  }

  function read(text: string): { blueprint: Blueprint; digest: string } {
    const digest = createHash('sha256').update(text).digest('hex');
    const known = parsed.get(digest);
    if (known) return { blueprint: known, digest };
    const { blueprint, problems } = parseBlueprint(text);
    if (!blueprint) throw blueprintInvalid(problems);
    parsed.set(digest, blueprint);
    return { blueprint, digest };
  }

  const added = async (): Promise<readonly KnownBlueprint[]> =>
    (await store.blueprints()).map(({ text }) => ({ ...read(text), text, isBuiltIn: false }));

  return {
    list: async () =>
      [...(await builtIn()).values(), ...(await added())].sort((a, b) => (a.blueprint.name < b.blueprint.name ? -1 : 1)),
    async get(name) {
      const found = (await builtIn()).get(name) ?? (await added()).find(({ blueprint }) => blueprint.name === name);
      if (found) return found;
      throw notFound(`There is no blueprint "${name}"`, {
        reason: 'blueprint_missing',
        hint: '`cellar blueprints` shows those there are.',
      });
    },
    async byDigest(digest) {
      const known = parsed.get(digest);
      if (known) return known;
      const text = await store.blueprintText(digest);
      if (text === undefined)
        throw new Fault(Code.DataLoss, `The blueprint with digest ${digest} is gone`, { reason: 'blueprint_lost' });
      return read(text).blueprint;
    },
    async put(name, text) {
      const { blueprint, digest } = read(text);
      if (blueprint.name !== name)
        throw invalidArgument(`The blueprint is named "${blueprint.name}", not "${name}"`, { reason: 'blueprint_name_differs' });
      if ((await builtIn()).has(name))
        throw failedPrecondition(`Cannot replace blueprint "${name}": it is built in`, {
          reason: 'blueprint_built_in',
          hint: 'Give yours another name.',
        });
      await database.transaction((tx) => store.putBlueprint(tx, name, digest, text));
      return { blueprint, digest, text, isBuiltIn: false };
    },
    async remove(name) {
      if ((await builtIn()).has(name))
        throw failedPrecondition(`Cannot delete blueprint "${name}": it is built in`, { reason: 'blueprint_built_in' });
      const [used] = await store.clusters({ blueprint: name }, '', 1);
      const hosts = await store.hosts('', 1000);
      const host = hosts.find(({ spec }) => spec.templates.some(({ blueprint }) => blueprint === name));
      if (used || host) {
        const by = used ? `cluster "${used.name}"` : `a template of host "${host?.name}"`;
        throw failedPrecondition(`Cannot delete blueprint "${name}": ${by} uses it`, { reason: 'blueprint_used' });
      }
      if (!(await database.transaction((tx) => store.removeBlueprint(tx, name))))
        throw notFound(`There is no blueprint "${name}"`, { reason: 'blueprint_missing' });
    },
  };
}

export function blueprintInvalid(problems: readonly Problem[]): Fault {
  const lines = problems.map(({ line, column, message }) => `line ${line}, column ${column}: ${message}`);
  return invalidArgument(
    `The blueprint has ${problems.length} ${problems.length === 1 ? 'problem' : 'problems'}: ${lines.join('; ')}`,
    { reason: 'blueprint_invalid' },
  );
}
