import { toJson } from '@bufbuild/protobuf';
import { type Claim, Claim_State, Claim_StateSchema, ClaimSchema, Engine } from '#gen/cellar/fleet/v1/engine_pb.ts';
import type { Client } from '#kernel/calls/client.ts';
import { invalidArgument, notFound } from '#kernel/fault.ts';
import type { CliContext } from '../command.ts';
import { parseSeconds } from '../duration.ts';
import { enumWord, formatAge, formatDuration, formatTime } from '../output/format.ts';
import { createProgress } from '../output/progress.ts';
import { formatFields } from '../output/table.ts';
import { parsePairs } from '../pairs.ts';
import { allPages } from './all-pages.ts';
import { client, show } from './support.ts';

export interface ApplyOptions {
  readonly wait?: string;
  readonly ttl?: string;
  readonly multiple?: boolean;
  readonly for?: string;
  readonly host?: readonly string[];
  readonly label?: readonly string[];
}

/** `cellar apply`: a ready cluster for the caller, and how to reach it and to give it back. */
export async function applyForCluster(context: CliContext, words: readonly string[], options: ApplyOptions): Promise<void> {
  const { output, signal } = context;
  const [first = ''] = words;
  const blueprint = first.includes('=') ? '' : first;
  const parameters = parsePairs(words.slice(blueprint === '' ? 0 : 1));
  const { host: hosts = [], label, multiple: allowMultiple = false, for: user = '' } = options;
  const labels = Object.entries(parsePairs(label, 'label'))
    .map(([name, value]) => `${name}=${value}`)
    .join(',');
  const selectors = hosts.length > 0 ? hosts.map((host) => ({ host, labels })) : labels === '' ? [] : [{ host: '', labels }];
  if (options.for === '') throw invalidArgument('Cannot apply for nobody: --for names no user');
  const [ttlSeconds, waitSeconds] = [parseSeconds(options.ttl), parseSeconds(options.wait)];
  const engine = await client(context, Engine);
  let claim: Claim;
  {
    using progress = createProgress(output, 'Waiting', { hasLines: true });
    if (waitSeconds > 0) progress.set({ done: 0, text: `for a cluster, ${formatDuration(waitSeconds * 1000)} at most` });
    claim = await engine.apply(
      { blueprint, parameters, selectors, allowMultiple, ttlSeconds, waitSeconds, user },
      { signal, idempotencyKey: crypto.randomUUID() },
    );
  }
  const cluster = claim.cluster?.name ?? '';
  show(context, ClaimSchema, claim, () =>
    formatFields({ cluster, ...claim.cluster?.endpoints, until: untilText(claim, Date.now()) }, output.style),
  );
  output.message(`Give it back with "cellar release ${cluster}"; keep it longer with "cellar renew ${cluster}".`);
}

export async function releaseClaim(context: CliContext, word: string): Promise<void> {
  const engine = await client(context, Engine);
  const claim = await engine.release({ id: await claimIdOf(engine, word, context.signal) }, { signal: context.signal });
  const held = claim.heldSeconds > 0 ? ` after ${formatDuration(claim.heldSeconds * 1000)}` : '';
  context.output.message(`Released ${word}${held}. The cluster is built anew and goes back to the pool.`);
  if (context.output.isJson) show(context, ClaimSchema, claim, () => '');
}

export async function renewClaim(context: CliContext, word: string, { ttl }: { ttl?: string }): Promise<void> {
  const engine = await client(context, Engine);
  const id = await claimIdOf(engine, word, context.signal);
  const claim = await engine.renew({ id, ttlSeconds: parseSeconds(ttl) }, { signal: context.signal });
  const latest = claim.expireTimeMax ? `; ${formatTime(claim.expireTimeMax)} is the latest possible` : '';
  context.output.message(`${claim.cluster?.name ?? word} is yours until ${untilText(claim, Date.now())}${latest}.`);
  if (context.output.isJson) show(context, ClaimSchema, claim, () => '');
}

export interface ClaimFilter {
  readonly all?: boolean;
  readonly user?: string;
  readonly cluster?: string;
}

export async function listClaims(
  context: CliContext,
  { all: withEnded = false, user = '', cluster = '' }: ClaimFilter,
): Promise<void> {
  const { output, signal } = context;
  const engine = await client(context, Engine);
  const found = await allPages(
    (page) => engine.listClaims({ withEnded, user, cluster, ...page }, { signal }),
    (answer) => answer.claims,
  );
  const now = Date.now();
  output.table(
    found,
    [
      { title: 'id', value: ({ id }) => id },
      { title: 'cluster', value: (claim) => claim.cluster?.name ?? '' },
      {
        title: 'state',
        value: ({ state, place }) => `${enumWord(Claim_StateSchema, state)}${place > 0 ? `, place ${place}` : ''}`,
        paint: (word, { state }) => (state === Claim_State.BOUND ? output.style.green(word) : word),
      },
      { title: 'user', value: ({ userName }) => userName },
      { title: 'since', value: ({ bindTime, applyTime }) => formatAge(bindTime ?? applyTime, now) },
      { title: 'until', value: (claim) => (claim.state === Claim_State.BOUND ? formatAge(claim.expireTime, now) : '') },
      ...(withEnded
        ? [
            { title: 'held', value: ({ heldSeconds }: Claim) => (heldSeconds > 0 ? formatDuration(heldSeconds * 1000) : '') },
            { title: 'ended', value: ({ endReason }: Claim) => endReason.replaceAll('_', ' ') },
          ]
        : []),
      { title: 'endpoint', value: (claim) => Object.values(claim.cluster?.endpoints ?? {})[0] ?? '' },
    ],
    found.map((claim) => toJson(ClaimSchema, claim, { alwaysEmitImplicit: true })),
  );
}

/** Of a claim that is named by its id or by its cluster. Errors: `not_found`. */
async function claimIdOf(engine: Client<typeof Engine>, word: string, signal: AbortSignal): Promise<string> {
  if (/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}$/.test(word)) return word;
  const { claims } = await engine.listClaims({ cluster: word, pageSize: 1 }, { signal });
  const [claim] = claims;
  if (claim) return claim.id;
  throw notFound(`Cluster "${word}" is claimed by nobody, or not by you`, { hint: '"cellar claims" shows what you have.' });
}

function untilText({ expireTime }: Claim, nowMs: number): string {
  return `${formatTime(expireTime)} (${formatAge(expireTime, nowMs)})`;
}
