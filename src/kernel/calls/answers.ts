import { createHash } from 'node:crypto';
import { fromBinary, type Message, toBinary } from '@bufbuild/protobuf';
import type { Database } from '../database/database.ts';
import type { Migration } from '../database/migrations.ts';
import { failedPrecondition } from '../fault.ts';
import type { Call } from './call.ts';

/** How long an answer is kept for its repetition. Unit: milliseconds. */
const keptMs = 24 * 3_600_000;

/** The kernel's own table beside a service's; applied with an area of its own. */
export const answersMigrations: readonly Migration[] = [
  {
    id: 1,
    name: 'kept answers',
    sql: `create table cellar_answers (id {text} primary key, digest {text} not null, answer {bytes} not null, time_ms bigint not null);
          create index cellar_answers_by_time on cellar_answers (time_ms)`,
  },
];

/**
 * Answers of unary writes made with an idempotency key, so that repeating a write whose answer was lost does not do it twice.
 *
 * A repetition while the first is under way shares its answer. A key used with another request is refused. The answer is kept just
 * after the write: when the service dies in between, the repetition runs the write again, as it would without a key.
 */
export class KeptAnswers {
  readonly #database: Database;
  readonly #now: () => number;
  readonly #underWay = new Map<string, { readonly digest: string; readonly answer: Promise<Message> }>();

  constructor(database: Database, now: () => number) {
    this.#database = database;
    this.#now = now;
  }

  /** Errors: `failed_precondition` with reason `idempotency_key_reused`; those of `run`. */
  async once(call: Call, request: Message, run: () => Promise<Message>): Promise<Message> {
    const { method, caller, idempotencyKey } = call;
    const id = `${caller.id}\n${method.name}\n${idempotencyKey}`;
    const digest = createHash('sha256').update(toBinary(method.input, request)).digest('hex');
    const shared = this.#underWay.get(id);
    if (shared) {
      assertSame(digest, shared.digest, call);
      return shared.answer;
    }
    const answer = this.#once(id, digest, call, run);
    this.#underWay.set(id, { digest, answer });
    try {
      return await answer;
    } finally {
      this.#underWay.delete(id);
    }
  }

  async #once(id: string, digest: string, call: Call, run: () => Promise<Message>): Promise<Message> {
    const now = this.#now();
    const kept = await this.#database.get<{ digest: string; answer: Uint8Array }>(
      `SELECT digest, answer FROM cellar_answers WHERE id = $1 AND time_ms > $2`,
      id,
      now - keptMs,
    );
    if (kept) {
      assertSame(digest, kept.digest, call);
      return fromBinary(call.method.output, kept.answer);
    }
    const answer = await run();
    await this.#database.transaction(async (tx) => {
      await tx.run(`DELETE FROM cellar_answers WHERE time_ms <= $1 OR id = $2`, now - keptMs, id);
      await tx.run(
        `INSERT INTO cellar_answers (id, digest, answer, time_ms) VALUES ($1, $2, $3, $4)`,
        id,
        digest,
        toBinary(call.method.output, answer),
        now,
      );
    });
    return answer;
  }
}

function assertSame(digest: string, other: string, call: Call): void {
  if (digest === other) return;
  throw failedPrecondition(`Cannot call ${call.method.name}: its idempotency key was used with another request`, {
    reason: 'idempotency_key_reused',
    hint: 'Use a new key for a new request.',
  });
}
