import { type DescMessage, type DescMethod, type DescService, getOption, hasOption } from '@bufbuild/protobuf';
import { Access, type CallRule, call as callOption, Role } from '#gen/cellar/kernel/v1/options_pb.ts';
import { http as httpOption } from '#gen/google/api/annotations_pb.ts';
import type { HttpRule } from '#gen/google/api/http_pb.ts';
import { compileValidator, type Validate } from './validate.ts';

/** How long a unary call may take when neither caller nor contract says otherwise. Unit: milliseconds. */
export const timeoutMsDefault = 30_000;

/** One method of a contract with everything its options say, read once at start. */
export interface Method {
  /** Such as `cellar.data.v1.Tree/List`; names the call in logs, metrics, audit and permissions. */
  readonly name: string;
  readonly desc: DescMethod;
  readonly kind: DescMethod['methodKind'];
  readonly input: DescMessage;
  readonly output: DescMessage;
  readonly isWrite: boolean;
  readonly roles: ReadonlySet<Role>;
  readonly isIdempotent: boolean;
  readonly auditFields: readonly string[];
  /** Unit: milliseconds; 0 for streams without a limit. */
  readonly timeoutMs: number;
  /** Scope a credential must hold, such as `data:read`; `*` means any. */
  readonly scope: string;
  /** The answer holds a secret, so it is not kept for repetitions. */
  readonly hasSecretAnswer: boolean;
  readonly http: HttpRule | undefined;
  readonly validate: Validate;
}

export interface Contract {
  readonly name: string;
  readonly desc: DescService;
  readonly methods: readonly Method[];
}

const contracts = new Map<string, Contract>();

/**
 * Reads a contract's options.
 *
 * Errors: a plain `Error` (this is a fault of the program) when a method lacks the call option, says nothing about access or
 * roles, names an audit field its request does not have, or uses a validation rule the kernel does not know.
 */
export function readContract(desc: DescService): Contract {
  const known = contracts.get(desc.typeName);
  if (known) return known;
  const contract = { name: desc.typeName, desc, methods: desc.methods.map((method) => readMethod(desc, method)) };
  contracts.set(desc.typeName, contract);
  return contract;
}

/** The method called `localName` (as in TypeScript, such as `listNodes`). */
export function methodOf(contract: Contract, localName: string): Method {
  const method = contract.methods.find((candidate) => candidate.desc.localName === localName);
  if (!method) throw new Error(`Contract ${contract.name} has no method "${localName}"`);
  return method;
}

function readMethod(service: DescService, desc: DescMethod): Method {
  const name = `${service.typeName}/${desc.name}`;
  const rule = readRule(name, desc);
  for (const path of rule.audit) assertField(name, desc.input, path);
  const isStream = desc.methodKind !== 'unary';
  return {
    name,
    desc,
    kind: desc.methodKind,
    input: desc.input,
    output: desc.output,
    isWrite: rule.access === Access.WRITE,
    roles: new Set(rule.roles),
    isIdempotent: rule.idempotent,
    auditFields: rule.audit,
    timeoutMs: rule.timeoutMs || (isStream ? 0 : timeoutMsDefault),
    scope: rule.scope || `${service.typeName.split('.')[1] ?? ''}:${rule.access === Access.WRITE ? 'write' : 'read'}`,
    hasSecretAnswer: rule.secretAnswer,
    http: hasOption(desc, httpOption) ? getOption(desc, httpOption) : undefined,
    validate: compileValidator(desc.input),
  };
}

function readRule(name: string, desc: DescMethod): CallRule {
  if (!hasOption(desc, callOption)) {
    throw new Error(
      `Cannot start: method ${name} has no (cellar.kernel.v1.call) option, so nobody may call it. Add access and roles to it.`,
    );
  }
  const rule = getOption(desc, callOption);
  if (rule.access !== Access.READ && rule.access !== Access.WRITE) {
    throw new Error(`Cannot start: method ${name} does not say whether it reads or writes. Set "access" in its call option.`);
  }
  if (rule.roles.length === 0 || rule.roles.includes(Role.UNSPECIFIED)) {
    throw new Error(`Cannot start: method ${name} does not say who may call it. Set "roles" in its call option.`);
  }
  return rule;
}

function assertField(method: string, message: DescMessage, path: string): void {
  let scope: DescMessage | undefined = message;
  for (const part of path.split('.')) {
    const field: DescMessage['fields'][number] | undefined = scope?.fields.find((candidate) => candidate.name === part);
    if (!field) throw new Error(`Cannot start: method ${method} audits "${path}", which ${message.typeName} does not have.`);
    scope = field.fieldKind === 'message' ? field.message : undefined;
  }
}
