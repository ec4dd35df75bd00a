import type { Objects } from '#gen/cellar/data/v1/objects_pb.ts';
import type { Call } from '#kernel/calls/call.ts';
import type { Implementation } from '#kernel/calls/dispatcher.ts';
import { acting } from '#s3/actor.ts';

/** Changes that calls make are told as those of their callers, by the names S3 has for them. */
export function toldByCaller(controller: Implementation<typeof Objects>): Implementation<typeof Objects> {
  const as = <R, A>(operation: string, verb: (request: R, call: Call) => A) => {
    return (request: R, call: Call): A =>
      acting.run({ operation, key: keyOf(request), userId: call.caller.id, address: '', requestId: call.trace.traceId }, () =>
        verb(request, call),
      );
  };
  return {
    ...controller,
    putObject: as('PutObject', controller.putObject),
    makeFolder: as('PutObject', controller.makeFolder),
    movePath: as('MovePath', controller.movePath),
    copyPath: as('CopyObject', controller.copyPath),
    deletePath: as('DeleteObject', controller.deletePath),
  };
}

/** Of a stream of requests it is not known yet. */
const keyOf = (request: unknown): string =>
  typeof request === 'object' && request !== null && 'key' in request && typeof request.key === 'string' ? request.key : '';
