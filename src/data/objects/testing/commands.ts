import fc from 'fast-check';
import { Fault } from '#kernel/fault.ts';
import type {
  Backend,
  CompletedPart,
  ListedVersion,
  ObjectBody,
  ObjectInfo,
  ObjectRef,
  PartInfo,
  UploadName,
} from '#s3/backend.ts';
import { storedBody } from '#s3/stored-body.ts';
import type { FaultPlan } from './faulty-fs.ts';

/** One request to a bucket. Versions, uploads and parts are named by their place in the list, since every backend has its own ids. */
export type Command =
  | {
      readonly verb: 'put';
      readonly key: string;
      readonly text: string;
      readonly note: string;
      readonly only?: 'new' | 'over' | undefined;
    }
  | { readonly verb: 'delete'; readonly key: string; readonly version?: number | undefined }
  | { readonly verb: 'copy'; readonly key: string; readonly to: string; readonly version?: number | undefined }
  | { readonly verb: 'read'; readonly key: string; readonly version?: number | undefined; readonly first: number }
  | { readonly verb: 'tag'; readonly key: string; readonly version?: number | undefined; readonly tag: string }
  | { readonly verb: 'list' | 'versions'; readonly prefix: string; readonly delimiter: string; readonly limit: number }
  | { readonly verb: 'versioning'; readonly to: 'Enabled' | 'Suspended' }
  | { readonly verb: 'upload'; readonly key: string; readonly note: string }
  | { readonly verb: 'part'; readonly upload: number; readonly part: number; readonly text: string }
  | { readonly verb: 'complete' | 'abort'; readonly upload: number };

export type Verb = Command['verb'];

/** What a run does: a request, with what goes wrong meanwhile, or a restart. */
export type Step = { readonly command: Command; readonly fault?: FaultPlan | undefined } | 'restart';

export const isReading = ({ verb }: Command): boolean => verb === 'read' || verb === 'list' || verb === 'versions';

/** Runs of steps over a few keys, so that they meet. */
export function stepsOf(keys: readonly string[], verbs: readonly Verb[], lengthMax: number): fc.Arbitrary<readonly Step[]> {
  const key = fc.constantFrom(...keys);
  const version = verbs.includes('versions') ? fc.option(fc.nat(3), { nil: undefined, freq: 2 }) : fc.constant(undefined);
  const text = fc.tuple(fc.nat(9), fc.constantFrom(0, 1, 7, 40)).map(([digit, length]) => `${digit}`.repeat(length));
  const note = fc.constantFrom('', 'x', 'ä ö');
  const upload = fc.nat(2);
  const query = {
    prefix: fc.oneof(
      fc.constant(''),
      key.chain((whole) => fc.nat(whole.length).map((end) => whole.slice(0, end))),
    ),
    delimiter: fc.constantFrom('', '/', '/', 'b'),
    limit: fc.constantFrom(1, 2, 3, 1000),
  };
  const all: Readonly<Record<Verb, [weight: number, arbitrary: fc.Arbitrary<Command>]>> = {
    put: [10, fc.record({ verb: word('put'), key, text, note, only: fc.constantFrom(undefined, undefined, 'new', 'over') })],
    delete: [6, fc.record({ verb: word('delete'), key, version })],
    copy: [3, fc.record({ verb: word('copy'), key, to: key, version })],
    read: [3, fc.record({ verb: word('read'), key, version, first: fc.nat(9) })],
    tag: [2, fc.record({ verb: word('tag'), key, version, tag: note })],
    list: [3, fc.record({ verb: word('list'), ...query })],
    versions: [2, fc.record({ verb: word('versions'), ...query })],
    versioning: [2, fc.record({ verb: word('versioning'), to: fc.constantFrom('Enabled', 'Suspended') })],
    upload: [2, fc.record({ verb: word('upload'), key, note })],
    part: [4, fc.record({ verb: word('part'), upload, part: fc.integer({ min: 1, max: 3 }), text })],
    complete: [3, fc.record({ verb: word('complete'), upload })],
    abort: [1, fc.record({ verb: word('abort'), upload })],
  };
  const command = fc.oneof(...verbs.map((verb) => ({ weight: all[verb][0], arbitrary: all[verb][1] })));
  const fault = fc.record({ kind: fc.constantFrom('EIO', 'ENOSPC', 'short', 'crash', 'crash'), at: fc.nat(24) });
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 12, arbitrary: fc.record({ command, fault: fc.option(fault, { nil: undefined, freq: 2 }) }) as fc.Arbitrary<Step> },
    { weight: 1, arbitrary: fc.constant('restart') },
  );
  return fc.array(step, { minLength: 1, maxLength: lengthMax });
}

/** `text` as the body of a request. */
export function textBody(text: string): ObjectBody {
  const info = { key: '', sizeBytes: Buffer.byteLength(text), mtimeMs: 0, etag: '', headers: {}, checksums: {} };
  return storedBody({ info, range: undefined, body: Buffer.from(text) }, 'crc32');
}

/** Sends a command; what came of it in words that are the same for every backend. Errors: those that are no `Fault`. */
export async function send(backend: Backend, bucket: string, command: Command): Promise<unknown> {
  try {
    return await answerOf(backend, bucket, command);
  } catch (error) {
    if (error instanceof Fault && error.code !== 'internal') return { refused: error.reason };
    throw error;
  }
}

async function answerOf(backend: Backend, bucket: string, command: Command): Promise<unknown> {
  switch (command.verb) {
    case 'put': {
      const { only, note, text } = command;
      const condition = (current: ObjectInfo | undefined): void => {
        if ((only === 'new' && current) || (only === 'over' && !current))
          throw new Fault('failed_precondition', 'no', { reason: 'no' });
      };
      const headers = { contentType: 'text/plain', ...(note ? { userMetadata: { note } } : {}) };
      return factsOf(
        await backend.put({ bucket, key: command.key }, textBody(text), { headers, ...(only ? { condition } : {}) }),
      );
    }
    case 'delete': {
      const { isDeleteMarker, versionId } = await backend.delete(await refOf(backend, bucket, command));
      return { isDeleteMarker, hasVersion: versionId !== undefined };
    }
    case 'copy':
      return factsOf(await backend.copy(await refOf(backend, bucket, command), { bucket, key: command.to }, {}));
    case 'read': {
      const { first } = command;
      const select = ({ sizeBytes }: ObjectInfo) => (first > 0 && first < sizeBytes ? { first, last: sizeBytes - 1 } : undefined);
      const { info, range, body } = await backend.get(await refOf(backend, bucket, command), select);
      return { ...factsOf(info), range, text: await textOf(body) };
    }
    case 'tag': {
      const tags = command.tag ? { name: command.tag } : undefined;
      return factsOf(await backend.update(await refOf(backend, bucket, command), () => ({ tags })));
    }
    case 'list': {
      const lines: unknown[] = [];
      for (let after: string | undefined = ''; after !== undefined; ) {
        const page = await backend.list(bucket, { ...command, after });
        lines.push([page.commonPrefixes, page.objects.map(lineOf), page.next]);
        after = page.next;
      }
      return lines;
    }
    case 'versions': {
      const lines: unknown[] = [];
      let next: { key: string; versionId?: string } | undefined = { key: '' };
      while (next) {
        const page = await backend.listVersions(bucket, { ...command, after: next.key, afterVersionId: next.versionId });
        lines.push([page.commonPrefixes, page.versions.map(versionLine), page.next?.key]);
        next = page.next;
      }
      return lines;
    }
    case 'versioning':
      return await backend.changeBucketSettings(bucket, (settings) => ({ ...settings, versioning: command.to }));
    case 'upload': {
      const headers = { contentType: 'text/plain', userMetadata: { note: command.note } };
      await backend.createUpload({ bucket, key: command.key }, { headers });
      return undefined;
    }
    case 'part': {
      const upload = await uploadOf(backend, bucket, command.upload);
      return upload && partLine(await backend.putPart(upload, command.part, textBody(command.text)));
    }
    case 'complete': {
      const completion = await completionOf(backend, bucket, command.upload);
      return completion && factsOf(await backend.completeUpload(completion.upload, completion.parts));
    }
    case 'abort': {
      const upload = await uploadOf(backend, bucket, command.upload);
      return upload && (await backend.abortUpload(upload));
    }
  }
}

export interface Completion {
  readonly upload: UploadName;
  readonly parts: readonly CompletedPart[];
}

/** What is in a bucket, in words that are the same for every backend. */
export interface Contents {
  readonly versioning: string | undefined;
  readonly keys: readonly string[];
  readonly listed: readonly unknown[];
  readonly current: readonly unknown[];
  readonly versions: readonly unknown[];
  readonly uploads: readonly unknown[];
}

/** Everything there is in a bucket, with all bytes. */
export async function contentsOf(backend: Backend, bucket: string, hasVersions: boolean): Promise<Contents> {
  const query = { prefix: '', delimiter: '', after: '', limit: 1000 };
  const { objects } = await backend.list(bucket, query);
  const current = await Promise.all(
    objects.map(async ({ key }) => [lineOf(await backend.head({ bucket, key })), ...(await read(key))]),
  );
  const versions = hasVersions ? (await backend.listVersions(bucket, query)).versions : [];
  const uploads = await uploadsOf(backend, bucket);
  return {
    versioning: (await backend.bucketSettings(bucket)).versioning,
    keys: objects.map(({ key }) => key),
    listed: objects.map(lineOf),
    current,
    versions: await Promise.all(
      versions.map(async (one) => [versionLine(one), ...(one.isDeleteMarker ? [] : await read(one.key, one.versionId))]),
    ),
    uploads: await Promise.all(uploads.map(async (upload) => [upload.key, (await backend.listParts(upload)).map(partLine)])),
  };

  async function read(key: string, versionId?: string): Promise<unknown[]> {
    const { info, body } = await backend.get({ bucket, key, versionId }, () => undefined);
    return [factsOf(info), await textOf(body)];
  }
}

async function refOf(
  backend: Backend,
  bucket: string,
  { key, version }: { key: string; version?: number | undefined },
): Promise<ObjectRef> {
  if (version === undefined) return { bucket, key };
  const { versions } = await backend.listVersions(bucket, { prefix: key, delimiter: '', after: '', limit: 1000 });
  const found = versions.filter((one) => one.key === key)[version];
  return { bucket, key, versionId: found?.versionId ?? 'null' };
}

async function uploadsOf(backend: Backend, bucket: string) {
  return (await backend.listUploads(bucket)).map(({ key, uploadId }) => ({ bucket, key, uploadId }));
}

async function uploadOf(backend: Backend, bucket: string, place: number) {
  return (await uploadsOf(backend, bucket))[place];
}

/** What a client says to complete an upload; `undefined` when there is no such upload, or nothing in it. */
export async function completionOf(backend: Backend, bucket: string, place: number): Promise<Completion | undefined> {
  const upload = await uploadOf(backend, bucket, place);
  const parts = upload && (await backend.listParts(upload));
  return upload && parts?.length ? { upload, parts } : undefined;
}

async function textOf(body: Uint8Array | AsyncIterable<Uint8Array>): Promise<string> {
  if (body instanceof Uint8Array) return Buffer.from(body).toString();
  const pieces: Uint8Array[] = [];
  for await (const piece of body) pieces.push(piece);
  return Buffer.concat(pieces).toString();
}

const lineOf = ({ key, sizeBytes, etag }: { key: string; sizeBytes: number; etag: string }): string =>
  `${key} ${sizeBytes} ${etag}`;
const partLine = ({ partNumber, sizeBytes, etag }: PartInfo): string => `${partNumber} ${sizeBytes} ${etag}`;
const kindOf = (versionId: string | undefined): string => (versionId === undefined || versionId === 'null' ? 'null' : 'own');
const versionLine = ({ isLatest, isDeleteMarker, versionId, ...object }: ListedVersion): string =>
  `${kindOf(versionId)}${isLatest ? ' latest' : ''}${isDeleteMarker ? ` marker ${object.key}` : ` ${lineOf(object)}`}`;

function factsOf({ key, sizeBytes, etag, headers, tags, checksums, versionId }: ObjectInfo): Readonly<Record<string, unknown>> {
  return { key, sizeBytes, etag, headers, tags: tags ?? {}, checksums, version: kindOf(versionId) };
}

function word<const T extends string>(text: T): fc.Arbitrary<T> {
  return fc.constant(text);
}
