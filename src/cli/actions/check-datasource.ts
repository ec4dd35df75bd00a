import { toJson } from '@bufbuild/protobuf';
import { Datasources } from '#gen/cellar/data/v1/datasources_pb.ts';
import {
  type CheckIndexResponse,
  type CheckIndexResponse_Finding,
  CheckIndexResponse_Finding_KindSchema,
  CheckIndexResponse_FindingSchema,
} from '#gen/cellar/data/v1/index_pb.ts';
import { Code, Fault } from '#kernel/fault.ts';
import type { CliContext } from '../command.ts';
import { Exit } from '../exit-codes.ts';
import { enumWord, formatCount, plural } from '../output/format.ts';
import { createProgress } from '../output/progress.ts';
import { client } from './support.ts';

/** Looks for damage in an index. The exit code is 1 when there is some that was not healed. */
export async function checkDatasource(
  context: CliContext,
  name: string,
  { repair = false }: { repair?: boolean },
): Promise<void> {
  const { output, signal } = context;
  const datasources = await client(context, Datasources);
  const findings: CheckIndexResponse_Finding[] = [];
  let last: CheckIndexResponse | undefined;
  {
    using progress = createProgress(output, `Checking ${name}`, { hasLines: true });
    for await (const step of datasources.checkDatasource({ name, repair }, { signal })) {
      last = step;
      findings.push(...step.findings);
      progress.set({
        done: Number(step.foldersChecked + step.filesChecked),
        text: `${step.step}, ${plural(step.foldersChecked, 'folder')}, ${plural(step.filesChecked, 'file')}`,
      });
    }
  }
  if (!last?.done) throw new Fault(Code.Unavailable, `Cannot tell how the check of ${name} ended: the server stopped telling`);
  const { found, repaired, needsFullPass } = last;
  if (found > repaired) context.exitCode = Exit.Failed;
  output.table(
    findings,
    [
      { title: 'what', value: ({ kind }) => enumWord(CheckIndexResponse_Finding_KindSchema, kind) },
      { title: 'where', value: ({ path }) => path },
      { title: 'rows', isNumber: true, value: ({ rows }) => formatCount(rows) },
      { title: 'healed', value: (finding) => (finding.repaired ? 'yes' : 'no') },
      { title: 'detail', value: ({ detail }) => detail },
    ],
    findings.map((finding) => toJson(CheckIndexResponse_FindingSchema, finding, { alwaysEmitImplicit: true })),
  );
  const checked = `Checked ${plural(last.foldersChecked, 'folder')} and ${plural(last.filesChecked, 'file')} of ${name}`;
  if (found === 0n) output.message(`${checked}: all is well.`);
  else if (repair) output.message(`${checked}: ${formatCount(found)} found, ${formatCount(repaired)} healed.`);
  else output.message(`${checked}: ${formatCount(found)} found. "cellar datasource check ${name} --repair" heals it.`);
  if (needsFullPass) output.message(repair ? 'The folder is compared now.' : 'Then the folder has to be compared as well.');
}
