import type { FileDescriptorProto, FileDescriptorSet } from '@bufbuild/protobuf/wkt';

/** Numbers of the fields that lead from a file to what it declares. Source: google/protobuf/descriptor.proto. */
const inFile = { message: 4, enum: 5, service: 6 };
const inMessage = { field: 2, nested: 3, enum: 4 };
const inEnum = { value: 2 };
const inService = { method: 2 };

type Named = Partial<Record<'name', string>>;

/** What our contracts say of services, methods, messages, fields, enums and their values, by full name such as `cellar.data.v1.Node.path`. */
export function readComments(set: FileDescriptorSet): Record<string, string> {
  const ours = set.file.filter((file) => file.package?.startsWith('cellar.'));
  return Object.fromEntries(ours.flatMap(commentsOf).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function commentsOf(file: FileDescriptorProto): [string, string][] {
  const comments: [string, string][] = [];
  for (const { path, leadingComments = '', trailingComments = '' } of file.sourceCodeInfo?.location ?? []) {
    const text = [leadingComments, trailingComments].map((part) => part.replace(/^ /gm, '').trim()).filter(Boolean);
    const name = text.length > 0 ? nameAt(file, path) : undefined;
    if (name) comments.push([`${file.package}.${name}`, text.join('\n\n')]);
  }
  return comments;
}

/** Undefined for what has no name of its own, such as an option. */
function nameAt(file: FileDescriptorProto, path: readonly number[]): string | undefined {
  const [kind, index = -1, ...rest] = path;
  if (kind === inFile.message) return inside(file.messageType[index], rest);
  if (kind === inFile.enum) return member(file.enumType[index], file.enumType[index]?.value, inEnum.value, rest);
  if (kind === inFile.service) return member(file.service[index], file.service[index]?.method, inService.method, rest);
  return undefined;
}

function inside(message: FileDescriptorProto['messageType'][number] | undefined, path: readonly number[]): string | undefined {
  const [kind, index = -1, ...rest] = path;
  if (kind === inMessage.nested) return join(message, inside(message?.nestedType[index], rest));
  if (kind === inMessage.enum)
    return join(message, member(message?.enumType[index], message?.enumType[index]?.value, inEnum.value, rest));
  return member(message, message?.field, inMessage.field, path);
}

function member(
  parent: Named | undefined,
  children: readonly Named[] | undefined,
  kind: number,
  path: readonly number[],
): string | undefined {
  if (path.length === 0) return parent?.name;
  if (path.length !== 2 || path[0] !== kind) return undefined;
  return join(parent, children?.[path[1] ?? -1]?.name);
}

function join(parent: Named | undefined, name: string | undefined): string | undefined {
  return parent?.name && name ? `${parent.name}.${name}` : undefined;
}
