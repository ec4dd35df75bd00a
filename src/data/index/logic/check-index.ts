import type { Database, Transaction } from '#kernel/database/database.ts';
import { Fault } from '#kernel/fault.ts';
import { relay } from '#lib/relay.ts';
import { inFolder } from '#lib/tree-path.ts';
import { type Reader, readerOf } from '../store/reader.ts';
import { repair } from '../store/repair.ts';
import { rootId } from '../store/rows.ts';
import { type Damage, type DamageKind, scan } from '../store/scan.ts';

export interface Finding extends Damage {
  /** As far as it is known. */
  readonly path: string;
  readonly isRepaired: boolean;
}

export interface CheckReport {
  readonly step: string;
  readonly findings: readonly Finding[];
  readonly folders: number;
  readonly files: number;
  readonly found: number;
  readonly repaired: number;
  readonly needsFullPass: boolean;
  readonly isDone: boolean;
}

export interface CheckParts {
  readonly database: Database;
  /** For an index that lost its own. */
  readonly newTag: () => string;
  /** Called in a transaction after a repair that only the storage can complete: the index covers nothing of it any more. */
  readonly startOver: (tx: Transaction) => Promise<void>;
}

export type CheckIndex = (options: { readonly repair: boolean }, signal: AbortSignal) => AsyncIterable<CheckReport>;

/** Of one kind so many are told one by one; the others are counted. */
const findingsMax = 1000;
/** One repair may bring to light what another hid. */
const roundsMax = 3;
const depthMax = 2000;

interface Round {
  readonly findings: readonly Finding[];
  readonly found: number;
  readonly kinds: ReadonlySet<DamageKind>;
  readonly needsFullPass: boolean;
}

/** Looks for damage and heals it, telling what it does. Findings come at the end, when it is known whether they were repaired. */
export function createCheckIndex({ database, newTag, startOver }: CheckParts): CheckIndex {
  async function look(tell: (report: CheckReport) => void, label: string, signal: AbortSignal): Promise<Round> {
    const findings: Finding[] = [];
    const counts = new Map<DamageKind, number>();
    let needsFullPass = false;
    await database.frozen(async (reads) => {
      const sql = readerOf(reads);
      for await (const { step, folders, files, damages } of scan(sql)) {
        if (signal.aborted) throw Fault.from(signal.reason);
        for (const damage of damages) {
          const count = (counts.get(damage.kind) ?? 0) + 1;
          counts.set(damage.kind, count);
          needsFullPass ||= damage.needsFullPass;
          if (count <= findingsMax) findings.push({ ...damage, path: await pathOf(sql, damage), isRepaired: false });
        }
        const found = [...counts.values()].reduce((sum, count) => sum + count, 0);
        tell({ step: `${label}${step}`, findings: [], folders, files, found, repaired: 0, needsFullPass, isDone: false });
      }
    });
    const found = [...counts.values()].reduce((sum, count) => sum + count, 0);
    return { findings, found, kinds: new Set(counts.keys()), needsFullPass };
  }

  return ({ repair: isRepairing }, signal) =>
    relay<CheckReport>(async (tell) => {
      let latest: CheckReport | undefined;
      const note = (report: CheckReport): void => {
        latest = report;
        tell(report);
      };
      const first = await look(note, '', signal);
      let last = first;
      const findings = [...first.findings];
      let { found, needsFullPass } = first;
      for (let round = 1; isRepairing && last.found > 0 && round <= roundsMax; round++) {
        await repair(database, last.kinds, newTag());
        const before = last;
        last = await look(note, 'again: ', signal);
        needsFullPass ||= last.needsFullPass;
        // What was hidden behind other damage is told too.
        const isNew = ({ kind }: Finding): boolean => !before.kinds.has(kind) && !first.kinds.has(kind);
        if (last.found > 0) {
          const more = last.findings.filter(isNew);
          findings.push(...more);
          found += more.length;
        }
      }
      if (isRepairing && needsFullPass) await database.transaction(startOver);
      const told = findings.map((finding) => ({ ...finding, isRepaired: isRepairing && !last.kinds.has(finding.kind) }));
      const repaired = isRepairing ? Math.max(0, found - last.found) : 0;
      const { folders = 0, files = 0 } = latest ?? {};
      const report: CheckReport = { step: '', findings: [], folders, files, found, repaired, needsFullPass, isDone: false };
      for (let at = 0; at < told.length; at += findingsMax) tell({ ...report, findings: told.slice(at, at + findingsMax) });
      tell({ ...report, isDone: true });
    });
}

/** Follows the parents up to the root; of what hangs in the air the part that is known. */
async function pathOf(sql: Reader, { folder, name }: Damage): Promise<string> {
  const names = name === undefined ? [] : [name];
  let at = folder;
  for (let depth = 0; at !== undefined && at !== rootId && depth < depthMax; depth++) {
    const row: { parent: number; name: string } | undefined = await sql.get('select parent, name from folders where id = $1', at);
    if (!row) break;
    names.unshift(row.name.replace(/\/$/, ''));
    at = row.parent;
  }
  return names.reduce(inFolder, '');
}
