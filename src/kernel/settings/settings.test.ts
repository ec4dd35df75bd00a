import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseSettingsFile } from './file.ts';
import { type Given, readEnvironment, resolveSettings, Source, sectionOf, settingValue } from './resolve.ts';
import { environmentName, Schema } from './schema.ts';
import { boolean, choice, integer, list, map, Secret, secret, text } from './setting.ts';

const gateway = {
  host: text({ default: '127.0.0.1', meaning: 'Where to listen.' }),
  port: integer({ default: 8080, min: 0, max: 65_535, meaning: 'Port.' }),
  isOpen: boolean({ default: false, meaning: 'Open.' }),
  names: list({ default: [], meaning: 'Names.' }),
};
const schema = new Schema([
  { name: 'gateway', settings: gateway, owner: 'gateway' },
  { name: 'log', settings: { level: choice({ default: 'info', of: ['debug', 'info'], meaning: 'Level.' }) }, owner: 'platform' },
  { name: 'database', settings: { url: secret({ default: new Secret(''), meaning: 'URL.' }) }, owner: 'platform' },
  {
    name: 'datasources',
    settings: {
      datasources: map({
        meaning: 'Folders.',
        keyPattern: /^[a-z]{3,}$/,
        keyAllowed: 'three or more lower-case letters',
        of: {
          folder: text({ default: '', pattern: /^.+$/, allowed: 'the path of a folder', meaning: 'Folder.' }),
          readOnly: boolean({ default: false, meaning: 'Not written.' }),
        },
      }),
    },
    owner: 'platform',
  },
]);

const problemsOf = (yaml: string): string[] => {
  const { given, problems } = parseSettingsFile(schema, yaml, 'cellar.yaml');
  return [...problems, ...resolveSettings(schema, given).problems].map(({ field, message }) => `${field} ${message}`);
};

const bad: readonly (readonly [yaml: string, problems: readonly RegExp[]])[] = [
  ['gateway:\n  prot: 80\n', [/^gateway.prot is not a setting; did you mean "gateway.port"\? \(cellar.yaml line 2\)$/]],
  ['gatway:\n  port: 80\n', [/^gatway is not a setting; did you mean "gateway"\? \(cellar.yaml line 1\)$/]],
  ['gateway:\n  port: 99999\n', [/^gateway.port must be a whole number from 0 to 65535, but is 99999 \(cellar.yaml line 2\)$/]],
  ['gateway:\n  port: [1]\n', [/^gateway.port must be a whole number .* but is \[1\]/]],
  ['gateway: 5\n', [/^gateway must be followed by settings, but is 5/]],
  [
    'gateway:\n  isOpen: maybe\nlog:\n  level: loud\n',
    [/^gateway.isOpen must be true or false, but is "maybe"/, /^log.level must be one of debug, info/],
  ],
  ['database:\n  url: {a: hunter2}\n', [/^database.url must be text \(cellar.yaml line 2\)$/]],
  [
    'datasources:\n  A: {folder: /x}\n',
    [
      /^datasources.A.folder must be in a group named by three or more lower-case letters; "A" is no such name \(cellar.yaml line 2\)$/,
    ],
  ],
  ['datasources:\n  docs: /x\n', [/^datasources.docs must be followed by settings, but is "\/x"/]],
  ['datasources:\n  docs: {folder: ""}\n', [/^datasources.docs.folder must be the path of a folder/]],
  [
    'datasources:\n  docs: {fodler: /x}\n',
    [/^datasources.docs.fodler is not a setting; did you mean "datasources.docs.folder"\?/],
  ],
  ['gateway:\n  port: 1\n  port: 2\n', [/^cellar.yaml is no YAML: Map keys must be unique/]],
  ['{\n', [/^cellar.yaml is no YAML/]],
  ['- a\n', [/^cellar.yaml must hold settings/]],
];

for (const [yaml, problems] of bad) {
  test(`tells what is wrong with ${JSON.stringify(yaml)}`, () => {
    const found = problemsOf(yaml);
    assert.equal(found.length, problems.length, found.join('\n'));
    for (const [index, expected] of problems.entries()) assert.match(found[index] ?? '', expected);
  });
}

test('never shows a secret', () => {
  const { given } = parseSettingsFile(schema, 'database: {url: [hunter2]}', 'cellar.yaml');
  assert.doesNotMatch(JSON.stringify(resolveSettings(schema, given).problems), /hunter2/);
});

test('good files, empty ones too', () => {
  for (const yaml of [
    '',
    '# nothing\n',
    'gateway:\n',
    'gateway: {port: 1, names: [a, b]}\ndatasources: {docs: {folder: /x}}\n',
  ]) {
    assert.deepEqual(problemsOf(yaml), [], yaml);
  }
});

test('flag wins over environment over stored over file over default', () => {
  const one = (source: Source, value: unknown): Given => ({ key: 'gateway.port', value, source, where: source });
  const layers = [one(Source.Flag, 5), one(Source.Environment, '4'), one(Source.Set, 3), one(Source.File, 2)];
  for (const [index, expected] of [5, 4, 3, 2, 8080].entries()) {
    const settings = resolveSettings(schema, layers.slice(index));
    assert.equal(settingValue(settings, 'gateway.port'), expected);
  }
});

test('groups of a map are put together from all sources', () => {
  const settings = resolveSettings(schema, [
    { key: 'datasources.docs.folder', value: '/a', source: Source.File, where: '' },
    { key: 'datasources.docs.folder', value: '/b', source: Source.Flag, where: '' },
    { key: 'datasources.pics.folder', value: '/c', source: Source.Set, where: '' },
  ]);
  assert.deepEqual(settingValue(settings, 'datasources'), {
    docs: { folder: '/b', readOnly: false },
    pics: { folder: '/c', readOnly: false },
  });
  assert.deepEqual(sectionOf(settings, 'gateway', gateway), { host: '127.0.0.1', port: 8080, isOpen: false, names: [] });
});

test('reads the environment, and tells strangers apart', () => {
  const { given, unknown } = readEnvironment(schema, {
    CELLAR_GATEWAY_PORT: '9000',
    CELLAR_GATEWAY_IS_OPEN: 'true',
    CELLAR_GATEWAY_NAMES: 'a, b',
    CELLAR_HOME: '/x',
    CELLAR_SERVICE_HOST: '10.0.0.1',
    PATH: '/bin',
  });
  assert.deepEqual(unknown, ['CELLAR_SERVICE_HOST']);
  const settings = resolveSettings(schema, given);
  assert.deepEqual(settings.problems, []);
  assert.deepEqual(sectionOf(settings, 'gateway', gateway), { host: '127.0.0.1', port: 9000, isOpen: true, names: ['a', 'b'] });
});

test('names of environment variables', () => {
  assert.equal(environmentName('gateway.port'), 'CELLAR_GATEWAY_PORT');
  assert.equal(environmentName('log.fileSizeMaxMib'), 'CELLAR_LOG_FILE_SIZE_MAX_MIB');
});

test('two sections cannot claim one key', () => {
  const section = { name: 'a', settings: { b: text({ default: '', meaning: '' }) }, owner: 'x' };
  assert.throws(() => new Schema([section, section]), /declares "a.b" a second time/);
});
