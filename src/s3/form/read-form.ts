import type { Readable } from 'node:stream';
import { S3Error } from '../errors.ts';

/** A form that uploads one file, as a browser sends it. Disposing it lets go of the request, wherever it was. */
export interface PostedForm extends Disposable {
  /** What came before the file, by name in lower case. Fields after it say nothing. */
  readonly fields: ReadonlyMap<string, string>;
  /** The last name of the file's path; empty when it has none. */
  readonly fileName: string;
  /** The file; ends only when the form was whole. Errors: `MalformedPOSTRequest`, `InvalidArgument`, `IncompleteBody`. */
  readonly bytes: AsyncIterable<Uint8Array>;
}

/** Source: "POST Object", S3: the form up to the file may have 20 KB; a policy of that size is the longest field. */
const fieldSizeBytesMax = 20 * 1024;
const fieldsSizeBytesMax = 2 * fieldSizeBytesMax;
const fieldsMax = 100;

/**
 * Reads a form up to its file, whose bytes follow as they come.
 * Errors: `PreconditionFailed` for what is no form, `MalformedPOSTRequest`, `InvalidArgument` when there is no file.
 */
export async function readForm(contentType: string | undefined, source: AsyncIterable<Uint8Array>): Promise<PostedForm> {
  if (!/^multipart\/form-data\s*;/i.test(contentType ?? '') || contentType === undefined)
    throw new S3Error('PreconditionFailed', 'Bucket POST must be of the enclosure-type multipart/form-data');
  const { Busboy } = await import('@fastify/busboy');
  const malformed = (cause?: unknown): S3Error => new S3Error('MalformedPOSTRequest', undefined, { cause });
  let parser: InstanceType<typeof Busboy>;
  try {
    parser = new Busboy({
      headers: { 'content-type': contentType },
      // Some tools send every field with a file name.
      isPartAFile: (name) => name?.toLowerCase() === 'file',
      limits: { fieldSize: fieldSizeBytesMax, fields: fieldsMax, parts: fieldsMax + 1, headerPairs: 32, headerSize: 8 * 1024 },
    });
  } catch (cause) {
    throw malformed(cause);
  }
  const fields = new Map<string, string>();
  const { promise: opened, resolve: open, reject: refuse } = Promise.withResolvers<PostedForm>();
  let problem: unknown;
  let size = 0;
  let files = 0;
  let isFed = false;
  const fail = (error: unknown): void => {
    problem ??= error;
    refuse(problem);
    parser.destroy();
    reading?.destroy(problem instanceof Error ? problem : malformed());
    wake?.();
  };
  let wake: (() => void) | undefined;
  let reading: Readable | undefined;
  parser.on('drain', () => wake?.());
  parser.on('field', (name, value, isNameCut, isValueCut) => {
    if (files > 0) return;
    size += name.length + value.length;
    if (isNameCut || isValueCut || size > fieldsSizeBytesMax)
      fail(new S3Error('MalformedPOSTRequest', 'Your POST request fields preceding the upload file were too large.'));
    else if (fields.has(name.toLowerCase())) fail(new S3Error('InvalidArgument', `The form has more than one field "${name}"`));
    else fields.set(name.toLowerCase(), value);
  });
  parser.on('fieldsLimit', () => fail(malformed())).on('partsLimit', () => fail(malformed()));
  parser.on('error', (error) => fail(malformed(error)));
  parser.on('file', (_name, file, fileName) => {
    files++;
    file.on('error', () => {
      // What the parser says about the end of the file counts, not this.
    });
    if (files > 1) {
      file.resume();
      fail(new S3Error('InvalidArgument', 'POST requires exactly one file upload per request.'));
      return;
    }
    reading = file;
    open({
      ...{ fields, fileName: fileName ?? '', bytes: fileBytes(file) },
      [Symbol.dispose]: () => {
        if (!isFed) fail(new S3Error('IncompleteBody', 'The form is not wanted any more'));
      },
    });
  });

  /** Hands the request to the parser, no faster than the file is read. */
  async function feed(): Promise<void> {
    try {
      for await (const chunk of source) {
        if (problem !== undefined) throw problem;
        const { promise: drained, resolve } = Promise.withResolvers<void>();
        wake = resolve;
        if (!parser.write(chunk) && problem === undefined) await drained;
      }
      if (problem !== undefined) throw problem;
      const { promise: finished, resolve: finish } = Promise.withResolvers<void>();
      wake = finish;
      parser.once('finish', finish).end();
      await finished;
      if (problem !== undefined) throw problem;
      isFed = true;
      if (files === 0) throw new S3Error('InvalidArgument', 'POST requires exactly one file upload per request.');
    } catch (error) {
      fail(problem ?? (error instanceof S3Error ? error : new S3Error('IncompleteBody', undefined, { cause: error })));
    }
  }
  const fed = feed();

  async function* fileBytes(file: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of file) yield chunk;
    } catch (error) {
      await fed;
      throw problem ?? error;
    }
    await fed;
    if (problem !== undefined) throw problem;
  }
  return await opened;
}
