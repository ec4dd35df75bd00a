/**
 * Turns the contracts in `proto/` into `src/gen`.
 *
 * The public vocabularies our contracts use are not kept in this tree: `google/api` is laid out under `.cache/proto` from an
 * installed package and `buf/validate` is printed from its own descriptor.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { file_buf_validate_validate } from '@bufbuild/protovalidate/gen/buf/validate/validate_pb.js';
import { printProto } from './print-proto.ts';

const root = join(import.meta.dirname, '..');
const includes = join(root, '.cache', 'proto');

/** Lays out the imported `.proto` files; needed before every use of `buf`. */
export function layOutIncludes(): void {
  const protobufjs = dirname(createRequire(import.meta.url).resolve('protobufjs/package.json'));
  mkdirSync(join(includes, 'google', 'api'), { recursive: true });
  mkdirSync(join(includes, 'buf', 'validate'), { recursive: true });
  for (const name of ['annotations.proto', 'http.proto']) {
    copyFileSync(join(protobufjs, 'google', 'api', name), join(includes, 'google', 'api', name));
  }
  writeFileSync(
    join(includes, 'google', 'api', 'httpbody.proto'),
    'syntax = "proto3";\npackage google.api;\nimport "google/protobuf/any.proto";\n' +
      'message HttpBody { string content_type = 1; bytes data = 2; repeated google.protobuf.Any extensions = 3; }\n',
  );
  writeFileSync(join(includes, 'buf', 'validate', 'validate.proto'), printProto(file_buf_validate_validate));
}

if (import.meta.main) {
  layOutIncludes();
  rmSync(join(root, 'src', 'gen'), { recursive: true, force: true });
  execFileSync(join(root, 'node_modules', '.bin', 'buf'), ['generate'], { cwd: root, stdio: 'inherit' });
}
