import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, createFileRegistry, type DescService, setExtension } from '@bufbuild/protobuf';
import {
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
  type MethodOptions,
  MethodOptionsSchema,
} from '@bufbuild/protobuf/wkt';
import { Index } from '#gen/cellar/data/v1/index_pb.ts';
import { Tree } from '#gen/cellar/data/v1/tree_pb.ts';
import { Access, CallRuleSchema, call, Role } from '#gen/cellar/kernel/v1/options_pb.ts';
import { methodOf, readContract, timeoutMsDefault } from './contract.ts';

/** A contract of one method with the given options, as a compiler would hand it over. */
function contractWith(name: string, options: MethodOptions | undefined): DescService {
  const file = create(FileDescriptorProtoSchema, {
    name: `${name}.proto`,
    package: 'test',
    syntax: 'proto3',
    messageType: [{ name: `${name}Message`, field: [{ name: 'path', number: 1, type: 9, label: 1 }] }],
    service: [
      {
        name,
        method: [
          { name: 'Do', inputType: `.test.${name}Message`, outputType: `.test.${name}Message`, ...(options ? { options } : {}) },
        ],
      },
    ],
  });
  const service = createFileRegistry(create(FileDescriptorSetSchema, { file: [file] })).getService(`test.${name}`);
  assert.ok(service);
  return service;
}

function rule(init: { access?: Access; roles?: Role[]; audit?: string[] }): MethodOptions {
  const options = create(MethodOptionsSchema);
  setExtension(options, call, create(CallRuleSchema, init));
  return options;
}

const refused: readonly (readonly [string, MethodOptions | undefined, RegExp])[] = [
  ['NoOption', undefined, /test\.NoOption\/Do has no \(cellar\.kernel\.v1\.call\) option/],
  ['NoAccess', rule({ roles: [Role.USER] }), /does not say whether it reads or writes/],
  ['NoRoles', rule({ access: Access.READ }), /does not say who may call it/],
  ['BadAudit', rule({ access: Access.WRITE, roles: [Role.USER], audit: ['path', 'nothing.here'] }), /audits "nothing\.here"/],
];

for (const [name, options, message] of refused) {
  test(`${name}: does not start`, () => {
    assert.throws(() => readContract(contractWith(name, options)), message);
  });
}

test('reads access, roles, scope and limits', () => {
  const list = methodOf(readContract(Tree), 'list');
  assert.equal(list.name, 'cellar.data.v1.Tree/List');
  assert.equal(list.isWrite, false);
  assert.deepEqual([...list.roles], [Role.USER]);
  assert.equal(list.scope, 'data:read');
  assert.equal(list.timeoutMs, timeoutMsDefault);
  assert.equal(methodOf(readContract(Tree), 'move').timeoutMs, 3_600_000);
  assert.equal(methodOf(readContract(Index), 'walkNodes').timeoutMs, 0);
});
