import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

/**
 * Puts `lodestar` and `ethereumjs` into a folder, for the blueprint `ethereum-pos` on local processes: about 600 MB from npm, a minute or two.
 * They get a Node of their own, since there is no compiled code of theirs for ours, and nothing is compiled.
 */
const folder = resolve(process.argv[2] ?? '');
if (process.argv.length !== 3) {
  console.error('usage: npm run ethereum-programs -- FOLDER');
  process.exit(2);
}

const lodestarVersion = '1.5.1';
const ownParts = ['api', 'beacon-node', 'config', 'db', 'fork-choice', 'light-client', 'params', 'reqresp'];
const moreParts = ['state-transition', 'types', 'utils', 'validator'];
/** Later ones of these fit no more, or want packages that are nowhere. */
const overrides = {
  ...Object.fromEntries([...ownParts, ...moreParts].map((part) => [`@lodestar/${part}`, lodestarVersion])),
  '@multiformats/multiaddr': '11.6.1',
  '@multiformats/mafmt': '11.0.3',
  mortice: '3.0.1',
  '@libp2p/tcp': '6.1.0',
  '@libp2p/bootstrap': '6.0.0',
  '@libp2p/mplex': '7.1.1',
  '@libp2p/utils': '3.0.2',
  '@chainsafe/libp2p-gossipsub': '6.1.0',
};
const arch = process.arch === 'arm64' ? 'arm64' : 'x64';

/** Installs packages into a folder of their own, so that neither has to fit the other; returns its `node_modules`. */
function install(name: string, dependencies: Readonly<Record<string, string>>, pinned = {}): string {
  const place = join(folder, name);
  mkdirSync(place, { recursive: true });
  writeFileSync(join(place, 'package.json'), JSON.stringify({ private: true, dependencies, overrides: pinned }));
  const { status } = spawnSync('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund'], {
    cwd: place,
    stdio: 'inherit',
  });
  if (status !== 0) throw new Error(`${name} cannot be installed; npm has said why`);
  return join(place, 'node_modules');
}

function program(name: string, environment: string, script: string): void {
  const file = join(folder, name);
  writeFileSync(file, `#!/bin/sh\n${environment}exec "${node}" "${script}" "$@"\n`);
  chmodSync(file, 0o755);
}

const lodestar = install(
  'lodestar-packages',
  { '@chainsafe/lodestar': lodestarVersion, [`node-linux-${arch}`]: '22.23.3', 'snappy-with-binaries': 'npm:snappy@7.4.3' },
  overrides,
);
const node = join(lodestar, `node-linux-${arch}`, 'bin', 'node');
const ethereumjs = install('ethereumjs-packages', { '@ethereumjs/client': '0.10.5' });

// The older one, which is asked for, would have to be compiled.
writeFileSync(
  join(lodestar, 'snappy', JSON.parse(readFileSync(join(lodestar, 'snappy', 'package.json'), 'utf8')).main),
  `const snappy = require('snappy-with-binaries');
const tell = (promise, callback) => promise.then((value) => callback(null, value), callback);
exports.compress = (input, callback) => tell(snappy.compress(input), callback);
exports.compressSync = (input) => snappy.compressSync(input);
exports.uncompress = (input, options, callback = options) => tell(snappy.uncompress(input), callback);
exports.uncompressSync = (input) => snappy.uncompressSync(input);
`,
);
program('lodestar', 'export NODE_BACKEND=js\n', join(lodestar, '@chainsafe/lodestar/lib/index.js'));
program('ethereumjs', '', join(ethereumjs, '@ethereumjs/client/dist/esm/bin/cli.js'));
console.log(`lodestar and ethereumjs are in ${folder}`);
