import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, type DescMessage, type Message } from '@bufbuild/protobuf';
import { createValidator } from '@bufbuild/protovalidate';
import fc from 'fast-check';
import { ApplyChangesRequestSchema, ListNodesRequestSchema } from '#gen/cellar/data/v1/index_pb.ts';
import { PutObjectRequestSchema } from '#gen/cellar/data/v1/objects_pb.ts';
import { CreateTokenRequestSchema, LoginRequestSchema } from '#gen/cellar/identity/v1/credentials_pb.ts';
import { PutPolicyRequestSchema } from '#gen/cellar/identity/v1/policies_pb.ts';
import { CreateUserRequestSchema, SetPasswordRequestSchema, UpdateUserRequestSchema } from '#gen/cellar/identity/v1/users_pb.ts';
import { compileValidator } from './validate.ts';

const judge = createValidator();

/** The fields that break a rule according to the public library. */
function judged(desc: DescMessage, message: Message): string[] {
  const result = judge.validate(desc, message);
  assert.notEqual(result.kind, 'error', String(result.error));
  return [...new Set((result.violations ?? []).map((violation) => violation.toString().split(':')[0] as string))].sort();
}

function ours(desc: DescMessage, message: Message): string[] {
  return [...new Set(compileValidator(desc)(message).map((violation) => violation.field))].sort();
}

const short = fc.oneof(
  fc.string({ maxLength: 4 }),
  fc.constantFrom('', 'alice', 'A', 'a'.repeat(64), '😀'.repeat(60), 'data:read', '*', 'ä'.repeat(513)),
);
const seconds = fc.oneof(fc.constantFrom(0n, 1n, -1n, 315_360_000n, 315_360_001n), fc.bigInt(-10n, 10n ** 9n));

const cases: readonly (readonly [DescMessage, fc.Arbitrary<object>])[] = [
  [
    CreateUserRequestSchema,
    fc.record({
      name: short,
      displayName: short,
      password: short,
      roles: fc.array(fc.constantFrom(0, 1, 2, 3, 4), { maxLength: 10 }),
    }),
  ],
  [SetPasswordRequestSchema, fc.record({ name: short, newPassword: short, oldPassword: short })],
  [UpdateUserRequestSchema, fc.record({ name: short, user: fc.option(fc.record({ name: short }), { nil: undefined }) })],
  [LoginRequestSchema, fc.record({ name: short, password: short })],
  [
    CreateTokenRequestSchema,
    fc.record({
      name: short,
      scopes: fc.array(short, { maxLength: 60 }),
      lifetime: fc.option(fc.record({ seconds, nanos: fc.constant(0) }), { nil: undefined }),
    }),
  ],
  [
    PutPolicyRequestSchema,
    fc.record({ policy: fc.option(fc.record({ id: short, description: short, text: short }), { nil: undefined }) }),
  ],
  [ListNodesRequestSchema, fc.record({ path: short, pageSize: fc.constantFrom(0, 1, 10_000, 10_001) })],
  [PutObjectRequestSchema, fc.record({ target: fc.option(fc.record({ bucket: short, key: short }), { nil: undefined }) })],
  [ApplyChangesRequestSchema, fc.record({ changes: fc.array(fc.record({ path: short }), { maxLength: 3 }) })],
];

for (const [desc, arbitrary] of cases) {
  test(`${desc.name}: agrees with the public library`, () => {
    fc.assert(
      fc.property(arbitrary, (init) => {
        const message = create(desc, init as never) as Message;
        assert.deepEqual(ours(desc, message), judged(desc, message));
      }),
      { numRuns: 300 },
    );
  });
}

test('says field and rule', () => {
  const message = create(CreateUserRequestSchema, { name: 'Not a name', roles: [1] });
  assert.deepEqual(compileValidator(CreateUserRequestSchema)(message), [
    { field: 'name', message: 'must match ^[a-z0-9][a-z0-9._-]{0,62}$' },
    { field: 'roles[0]', message: 'must be one of 2, 3' },
  ]);
});
