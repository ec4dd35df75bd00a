import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { promisify } from 'node:util';

export interface S3ClientContext {
  /** `http://host:port`. */
  readonly endpoint: string;
  readonly accessKey: string;
  readonly secretKey: string;
  /** A bucket that may be written to; the cases leave nothing in it. */
  readonly bucket: string;
  /** Another one, which may be made a versioned one. */
  readonly versioned: string;
  /** A folder for files of the case. */
  readonly tmp: string;
}

export interface S3ClientCase {
  readonly name: string;
  /** The program, or `python:<module>`, without which the case cannot run. */
  readonly needs: string;
  run(context: S3ClientContext): Promise<void>;
}

export const execute = promisify(execFile);
export const region = 'us-east-1';
const largeSizeBytes = 20 * 1024 * 1024;
/** Names that clients, shells, URLs and XML treat differently. */
export const specialNames = [
  'with space.txt',
  'plus+and&amp.txt',
  'ümläut-日本.txt',
  "quote'and(paren).txt",
  'percent%41.txt',
  'hash#q=?.txt',
  'émoji 🦊.txt',
];

const sha = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Runs a program; its output. Errors: with what it wrote to standard error. */
export async function run(
  context: S3ClientContext,
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const credentials = {
    AWS_ACCESS_KEY_ID: context.accessKey,
    AWS_SECRET_ACCESS_KEY: context.secretKey,
    AWS_DEFAULT_REGION: region,
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_CONFIG_FILE: await awsConfig(context.tmp),
    // Some clients refuse to start when this names a file, even for plain HTTP.
    AWS_CA_BUNDLE: undefined,
  };
  const { stdout } = await execute(program, args, {
    env: { ...process.env, ...credentials, ...env },
    maxBuffer: 64 * 1024 * 1024,
    timeout: 120_000,
    cwd: context.tmp,
  });
  return stdout;
}

/** Without it the older command line signs URLs in the way of version 2. */
async function awsConfig(tmp: string): Promise<string> {
  const path = join(tmp, 'aws-config');
  await writeFile(path, '[default]\ns3 =\n  signature_version = s3v4\n  addressing_style = path\n');
  return path;
}

export function expect(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(message);
}

/** A folder with small files of all names, one below another folder, and a large one. */
export async function makeTree(context: S3ClientContext): Promise<string> {
  const folder = await mkdtemp(join(context.tmp, 'tree-'));
  await mkdir(join(folder, 'below', 'deep'), { recursive: true });
  for (const name of specialNames) await writeFile(join(folder, name), name);
  await writeFile(join(folder, 'below', 'deep', 'small.txt'), 'small');
  await writeFile(join(folder, 'empty'), '');
  await writeFile(join(folder, 'large.bin'), randomBytes(largeSizeBytes));
  return folder;
}

export async function expectSame(folder: string, other: string): Promise<void> {
  for (const name of [...specialNames, 'below/deep/small.txt', 'empty', 'large.bin']) {
    const [ours, theirs] = await Promise.all([readFile(join(folder, name)), readFile(join(other, name))]);
    expect(sha(ours) === sha(theirs), `${name} came back different`);
  }
}

/** A folder with this many small files of all names, ten in each of its folders. */
export async function makeMany({ tmp }: S3ClientContext, count: number): Promise<string> {
  const folder = await mkdtemp(join(tmp, 'many-'));
  for (let at = 0; at < count; at++) {
    const below = join(folder, `${Math.floor(at / 10)}`);
    if (at % 10 === 0) await mkdir(below);
    await writeFile(join(below, `${at} ${specialNames[at % specialNames.length]}`), randomBytes(at * 7));
  }
  return folder;
}

/** A checksum of all names and contents below a folder. */
export async function sumsOf(folder: string): Promise<string> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const lines = await Promise.all(files.toSorted().map(async (file) => `${relative(folder, file)} ${sha(await readFile(file))}`));
  return sha(Buffer.from(lines.join('\n')));
}
