import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { assertCedar, compileCedar } from './cedar.ts';
import { decidePlain, parsePlain } from './plain-policies.ts';
import { parseResource, type Question } from './question.ts';

const users = ['u1', 'u2'];
const names = ['ann', 'bob'];
const actions = ['data:read', 'data:write', '*'];
const resources = ['data/', 'data/docs', 'data/docs/a', 'data/docs/a/b', 'data/docsa', 'call/x.v1.A/Get', 'call/x.v1.B/Get'];
const paths = ['', 'docs', 'docs/a', 'docs/a/b', 'docsa'];

const pick = (...values: string[]): fc.Arbitrary<string> => fc.constantFrom(...values);
const head = (variable: string, options: readonly fc.Arbitrary<string>[]): fc.Arbitrary<string> =>
  fc.oneof(fc.constant(''), ...options).map((rest) => `${variable}${rest}`);

const path = pick(...paths).map((id) => `Path::"${id}"`);
const role = pick('admin', 'user').map((id) => `Role::"${id}"`);
const contract = pick('x.v1.A', 'x.v1.B').map((id) => `Contract::"${id}"`);
const above = fc.oneof(path, contract);
const action = pick(...actions).map((id) => `Action::"${id}"`);

const statement = fc
  .record({
    effect: pick('permit', 'permit', 'forbid'),
    principal: head('principal', [
      pick(...users).map((id) => ` == User::"${id}"`),
      fc.constant(' == Anybody::"anybody"'),
      role.map((entity) => ` in ${entity}`),
      pick('User', 'Anybody').map((type) => ` is ${type}`),
      role.map((entity) => ` is User in ${entity}`),
    ]),
    action: head('action', [
      action.map((entity) => ` == ${entity}`),
      action.map((entity) => ` in ${entity}`),
      fc.array(action, { minLength: 1, maxLength: 3 }).map((all) => ` in [${all.join(', ')}]`),
    ]),
    resource: head('resource', [
      path.map((entity) => ` == ${entity}`),
      fc.constant(' == Call::"x.v1.A/Get"'),
      above.map((entity) => ` in ${entity}`),
      pick('Path', 'Call').map((type) => ` is ${type}`),
      path.map((entity) => ` is Path in ${entity}`),
      contract.map((entity) => ` is Call in ${entity}`),
    ]),
    when: fc.oneof(
      fc.constant(''),
      pick(...names).map((name) => ` when { principal.name == "${name}" }`),
    ),
    gap: pick('', ' ', '\n', ' // why\n'),
  })
  .map(
    (part) => `${part.effect}(${part.principal},${part.gap}${part.action},${part.gap}${part.resource})${part.when};${part.gap}`,
  );

const policies = fc
  .array(
    fc.array(statement, { minLength: 1, maxLength: 3 }).map((all) => all.join('')),
    { maxLength: 4 },
  )
  .map((texts) => texts.map((text, index) => ({ id: `p${index}`, text })));

const question: fc.Arbitrary<Question> = fc.record({
  principal: fc.oneof(
    fc.record({
      type: fc.constant('User'),
      id: pick(...users),
      name: pick(...names),
      parents: fc.subarray(['admin', 'user']).map((roles) => roles.map((id) => ({ type: 'Role', id }))),
    }),
    fc.constant({ type: 'Anybody', id: 'anybody', name: 'anybody', parents: [] }),
  ),
  action: pick(...actions),
  resource: pick(...resources).map(parseResource),
});

test('plain policies are decided as Cedar decides them', () => {
  fc.assert(
    fc.property(policies, fc.array(question, { minLength: 5, maxLength: 20 }), (all, questions) => {
      const cedar = compileCedar(all);
      const plain = new Map(
        all.map(({ id, text }) => {
          const parsed = parsePlain(text);
          assert.ok(parsed, `not read as plain: ${text}`);
          return [id, parsed];
        }),
      );
      for (const asked of questions) {
        const { isAllowed, policies: deciding } = decidePlain(plain, asked);
        assert.deepEqual({ isAllowed, policies: deciding.toSorted() }, cedar(asked), JSON.stringify({ all, asked }));
      }
    }),
    { numRuns: 300 },
  );
});

test('what is read as plain is Cedar, whatever the text', () => {
  const piece = pick(
    ...[
      'permit',
      'forbid',
      '(',
      ')',
      'principal',
      'action',
      'resource',
      ',',
      ';',
      '==',
      'in',
      'is',
      'User',
      'Role',
      'Path',
      '::',
    ],
    ...[
      '"u1"',
      '"a',
      '\\',
      '[',
      ']',
      'when',
      '{',
      '}',
      '.',
      'name',
      '//',
      '\n',
      ' ',
      'Action',
      '@id("x")',
      'unless',
      '?principal',
      '\u00a0',
    ],
  );
  const broken = fc
    .tuple(statement, fc.nat(), fc.nat({ max: 5 }), fc.array(piece, { maxLength: 3 }))
    .map(([text, at, cut, pieces]) => {
      const start = at % (text.length + 1);
      return text.slice(0, start) + pieces.join('') + text.slice(start + cut);
    });
  fc.assert(
    fc.property(broken, (text) => {
      const parsed = parsePlain(text);
      if (parsed && parsed.length > 0) compileCedar([{ id: 'p', text }]);
    }),
    { numRuns: 2000 },
  );
});

const notPlain = [
  'permit(principal == Role::"admin", action, resource);',
  'permit(principal in User::"u1", action, resource);',
  'permit(principal, action, resource in Folder::"docs");',
  'permit(principal, action, resource) when { resource in Path::"docs" };',
  'permit(principal, action, resource) unless { principal.name == "ann" };',
  'permit(principal, action, resource) when { principal.name == "a\\n" };',
  '@id("x") permit(principal, action, resource);',
  'permit(principal == ?principal, action, resource);',
  'permit(principal, action, resource)',
  'permit(principal, action in [], resource);',
  'permit(principal, action, resource);;',
  'permit(principal, resource, action);',
];

for (const text of notPlain) test(`left to Cedar: ${text}`, () => assert.equal(parsePlain(text), undefined));

test('an empty text has no policies, and is refused where one is set', () => {
  assert.deepEqual(parsePlain('// nothing\n'), []);
  assert.throws(() => assertCedar('// nothing\n'), /no permit and no forbid/);
});
