import { XMLParser } from 'fast-xml-parser';

/** What became of one case of the suite. */
export interface CaseResult {
  /** `file::name`, such as `test_s3::test_bucket_list_empty`. */
  readonly id: string;
  readonly outcome: 'passed' | 'failed' | 'skipped';
  /** First line of why it failed; empty otherwise. */
  readonly message: string;
}

interface Case {
  readonly name: string;
  readonly classname: string;
  readonly failure?: readonly Problem[];
  readonly error?: readonly Problem[];
  readonly skipped?: unknown;
}
interface Problem {
  readonly message?: string;
}

const parser = new XMLParser({
  ignoreAttributes: false,
  attributeNamePrefix: '',
  parseAttributeValue: false,
  isArray: (name) => ['testsuite', 'testcase', 'failure', 'error'].includes(name),
});

/** Reads a report in the form of JUnit. A case that fails and whose cleaning up fails too is one case. */
export function readResults(report: string): readonly CaseResult[] {
  const document = parser.parse(report) as { testsuites?: { testsuite?: readonly { testcase?: readonly Case[] }[] } };
  const byId = new Map<string, CaseResult>();
  for (const suite of document.testsuites?.testsuite ?? [])
    for (const one of suite.testcase ?? []) {
      const id = `${one.classname.split('.').at(-1)}::${one.name}`;
      const [problem] = [...(one.failure ?? []), ...(one.error ?? [])];
      const message = problem?.message?.split('\n')[0]?.slice(0, 200) ?? '';
      const outcome = problem ? 'failed' : one.skipped === undefined ? 'passed' : 'skipped';
      if (byId.get(id)?.outcome !== 'failed') byId.set(id, { id, outcome, message });
    }
  return [...byId.values()];
}
