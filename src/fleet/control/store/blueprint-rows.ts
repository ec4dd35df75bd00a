import type { Database } from '#kernel/database/database.ts';
import type { FleetStore } from './store.ts';

type BlueprintVerbs = Pick<FleetStore, 'putBlueprint' | 'blueprintText' | 'blueprints' | 'removeBlueprint'>;

export function createBlueprintRows(database: Database): BlueprintVerbs {
  return {
    async putBlueprint(tx, name, digest, text) {
      await tx.run('insert into blueprint_texts (digest, text) values ($1, $2) on conflict (digest) do nothing', digest, text);
      await tx.run(
        'insert into blueprints (name, digest) values ($1, $2) on conflict (name) do update set digest = excluded.digest',
        ...[name, digest],
      );
    },
    blueprintText: async (digest) =>
      (await database.get<{ text: string }>('select text from blueprint_texts where digest = $1', digest))?.text,
    blueprints: () =>
      database.all(
        'select b.name, b.digest, t.text from blueprints b join blueprint_texts t on t.digest = b.digest order by b.name',
      ),
    removeBlueprint: async (tx, name) => (await tx.run('delete from blueprints where name = $1', name)).changes === 1,
  };
}
