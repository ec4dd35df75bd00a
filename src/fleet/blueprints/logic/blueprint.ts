import type { AgentType } from '../../common/words.ts';

/**
 * What clusters are made from, as it is written in YAML; `blueprint.schema.json` says what is allowed. Texts that may hold `{{ ... }}` are
 * templates, see `plan-members.ts` for what they can speak of.
 */
export interface Blueprint {
  /** Version of this format: 1. */
  readonly blueprint: 1;
  readonly name: string;
  readonly description: string;
  readonly heavy?: boolean;
  readonly agents: readonly AgentType[];
  /** Volumes hold no address or port of a member, so that another cluster can have them wherever it is. */
  readonly portable?: boolean;
  /** Template of a whole number; how much of a host's weight a cluster takes. Absent: one for each member. */
  readonly weight?: string;
  readonly parameters?: Readonly<Record<string, Parameter>>;
  /** Made anew for each incarnation: so many random bytes, as hexadecimal digits. */
  readonly secrets?: Readonly<Record<string, { readonly bytes: number }>>;
  readonly members: readonly MemberTemplate[];
  /** How long a cluster may take to be ready. Unit: seconds; absent: 120. */
  readonly buildSeconds?: number;
  readonly health?: readonly HealthRule[];
  /** Templates by name. */
  readonly endpoints?: Readonly<Record<string, string>>;
  /** Further texts a client needs; templates by name. */
  readonly connection?: Readonly<Record<string, string>>;
}

export interface Parameter {
  readonly type: 'integer' | 'string' | 'boolean' | 'choice';
  readonly description: string;
  readonly default: string | number | boolean;
  readonly min?: number;
  readonly max?: number;
  readonly choices?: readonly (string | number)[];
  /** Of a string: a regular expression the whole of it has to match. */
  readonly pattern?: string;
}

/** Members of one role. They are named `<role>`, or `<role>-0` ... when `count` is given. */
export interface MemberTemplate {
  readonly role: string;
  /** Template of a whole number. */
  readonly count?: string | number;
  /** Template. */
  readonly image?: string;
  /** Templates. */
  readonly command: readonly string[];
  /** Of local processes, where it differs: the first that is installed counts. */
  readonly programs?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly ports?: Readonly<Record<string, PortTemplate>>;
  /** Absolute paths by name. */
  readonly volumes?: Readonly<Record<string, string>>;
  /** Templates by absolute path. */
  readonly files?: Readonly<Record<string, FileTemplate>>;
  /** By name; made anew for each incarnation, with a key each. */
  readonly certificates?: Readonly<Record<string, CertificateTemplate>>;
  /** Roles that have to be ready before. */
  readonly after?: readonly string[];
  readonly limits?: { readonly memoryMiB?: number; readonly cpuMillis?: number; readonly processes?: number };
  readonly stop?: { readonly signal?: string; readonly timeoutMs?: number };
  /** All have to pass before the member is ready. */
  readonly ready?: readonly Question[];
}

/** For the member's name, `localhost` and 127.0.0.1. */
export interface CertificateTemplate {
  /** Template; an authority of that name is made when it is first named. */
  readonly authority: string;
  /** Organizational unit of the subject. */
  readonly unit?: string;
}

export interface PortTemplate {
  /** Inside a container; local processes get one of the host's. */
  readonly port: number;
  /** Clients reach it from outside. */
  readonly public?: boolean;
  readonly udp?: boolean;
}

export interface FileTemplate {
  readonly text: string;
  readonly secret?: boolean;
  readonly executable?: boolean;
}

/** Asked of one member; exactly one of the four. */
export interface Question {
  readonly http?: { readonly port: string; readonly path: string; readonly status?: number };
  readonly tcp?: { readonly port: string };
  readonly jsonRpc?: {
    readonly port: string;
    readonly method: string;
    readonly params?: readonly unknown[];
    readonly path?: string;
    readonly user?: string;
    readonly password?: string;
  };
  /** Templates. */
  readonly command?: readonly string[];
  readonly timeoutMs?: number;
}

/**
 * What has to hold for the cluster as a whole. The question is asked of each member of the role; `value` picks something out of the answer
 * (a path such as `result.headers`), and one expectation says when a member is well.
 */
export interface HealthRule {
  readonly name: string;
  readonly role: string;
  readonly ask: Question;
  readonly value?: string;
  /** Instead of `value`: the first sample of this name in an answer in Prometheus' text format. */
  readonly metric?: string;
  /** The value as text. */
  readonly equals?: string;
  /** Numbers: not less than this; a template. */
  readonly atLeast?: string | number;
  /** Numbers: not further behind the highest of all members than this. */
  readonly within?: number;
  /** The same as that of most members. */
  readonly same?: boolean;
  /** Numbers: the highest of all has grown in the last so many seconds; a template, and 0 asks for nothing. */
  readonly growsSeconds?: string | number;
  /** Having held once, the rule may fail for so long before it counts: a block needs a moment to get round. */
  readonly patienceSeconds?: number;
  /** How many members have to be well: fewer is failed, not all is degraded. Absent: all. */
  readonly need?: 'all' | 'majority' | 'any' | number;
  /** For people, when it does not hold. */
  readonly message: string;
}
