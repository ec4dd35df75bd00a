/**
 * Turns the contracts in `proto/` into `src/gen`. With `--check` it writes nothing and fails when `src/gen` is not what it would write.
 *
 * The public vocabularies our contracts use are not kept in this tree: `google/api` is laid out under `.cache/proto` from an
 * installed package and `buf/validate` is printed from its own descriptor.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { file_buf_validate_validate } from '@bufbuild/protovalidate/gen/buf/validate/validate_pb.js';
import { printProto } from './print-proto.ts';
import { readComments } from './read-comments.ts';

const root = join(import.meta.dirname, '..');
const includes = join(root, '.cache', 'proto');
const out = join(root, '.cache', 'generated');

/** Lays out the imported `.proto` files; needed before every use of `buf`. */
export function layOutIncludes(): void {
  const protobufjs = dirname(createRequire(import.meta.url).resolve('protobufjs/package.json'));
  mkdirSync(join(includes, 'google', 'api'), { recursive: true });
  mkdirSync(join(includes, 'buf', 'validate'), { recursive: true });
  copyFileSync(join(protobufjs, 'google', 'api', 'annotations.proto'), join(includes, 'google', 'api', 'annotations.proto'));
  // The copy in that package is older than `response_body`.
  const http = readFileSync(join(protobufjs, 'google', 'api', 'http.proto'), 'utf8');
  const body = 'string body = 7;';
  writeFileSync(
    join(includes, 'google', 'api', 'http.proto'),
    http.includes('response_body') ? http : http.replace(body, `${body} string response_body = 12;`),
  );
  writeFileSync(
    join(includes, 'google', 'api', 'httpbody.proto'),
    'syntax = "proto3";\npackage google.api;\nimport "google/protobuf/any.proto";\n' +
      'message HttpBody { string content_type = 1; bytes data = 2; repeated google.protobuf.Any extensions = 3; }\n',
  );
  writeFileSync(join(includes, 'buf', 'validate', 'validate.proto'), printProto(file_buf_validate_validate));
}

/** Writes generated code for all contracts below `out`. */
function generate(): void {
  rmSync(out, { recursive: true, force: true });
  const buf = join(root, 'node_modules', '.bin', 'buf');
  execFileSync(buf, ['generate', '--output', out], { cwd: root, stdio: 'inherit' });
  // Embedded descriptors have no comments; the API's reference needs them.
  const set = execFileSync(buf, ['build', 'proto', '-o', '-', '--as-file-descriptor-set'], { cwd: root, maxBuffer: 2 ** 26 });
  const comments = readComments(fromBinary(FileDescriptorSetSchema, set));
  writeFileSync(join(out, 'src', 'gen', 'comments.json'), `${JSON.stringify(comments, undefined, 1)}\n`);
}

if (import.meta.main) {
  layOutIncludes();
  generate();
  if (process.argv.includes('--check')) {
    const diff = spawnSync('diff', ['-rq', 'src/gen', join(out, 'src', 'gen')], { cwd: root, encoding: 'utf8' });
    if (diff.status !== 0) {
      console.error(`src/gen is not what the contracts say:\n${diff.stdout}${diff.stderr}`);
      process.exit(1);
    }
  } else {
    // Only now: a mistake in a contract leaves the generated code as it was.
    rmSync(join(root, 'src', 'gen'), { recursive: true, force: true });
    renameSync(join(out, 'src', 'gen'), join(root, 'src', 'gen'));
  }
}
