import type { DescEnum, DescExtension, DescField, DescFile, DescMessage } from '@bufbuild/protobuf';
import { ScalarType } from '@bufbuild/protobuf';

/**
 * Prints a `.proto` source that declares what `file` declares: messages, enums, fields, oneofs and extensions.
 *
 * Options and comments are left out; the result is for importing, not for reading. Source: Protobuf language, proto2 syntax
 * (printed as such whatever the file was written in, since that keeps presence and extension ranges).
 */
export function printProto(file: DescFile): string {
  const lines = ['syntax = "proto2";', `package ${file.proto.package};`];
  lines.push(...file.dependencies.map((dependency) => `import "${dependency.name}.proto";`));
  for (const descEnum of file.enums) lines.push(...printEnum(descEnum));
  for (const message of file.messages) lines.push(...printMessage(message));
  for (const extension of file.extensions) lines.push(`extend .${extension.extendee.typeName} { ${printField(extension)} }`);
  return `${lines.join('\n')}\n`;
}

function printMessage(message: DescMessage): string[] {
  const lines = [`message ${message.name} {`];
  for (const descEnum of message.nestedEnums) lines.push(...printEnum(descEnum));
  for (const nested of message.nestedMessages) {
    if (!nested.proto.options?.mapEntry) lines.push(...printMessage(nested));
  }
  for (const member of message.members) {
    if (member.kind === 'field') lines.push(printField(member));
    else lines.push(`oneof ${member.name} {`, ...member.fields.map((field) => printField(field, '')), '}');
  }
  for (const range of message.proto.extensionRange) {
    const last = (range.end ?? 0) > 536_870_911 ? 'max' : String((range.end ?? 1) - 1);
    lines.push(`extensions ${range.start} to ${last};`);
  }
  lines.push('}');
  return lines;
}

function printEnum(descEnum: DescEnum): string[] {
  return [`enum ${descEnum.name} {`, ...descEnum.values.map((value) => `${value.name} = ${value.number};`), '}'];
}

function printField(field: DescField | DescExtension, label?: string): string {
  if (field.fieldKind === 'map') {
    const value = field.mapKind === 'scalar' ? scalarName(field.scalar) : `.${(field.message ?? field.enum)?.typeName}`;
    return `map<${scalarName(field.mapKey)}, ${value}> ${field.name} = ${field.number};`;
  }
  const prefix = label ?? (field.fieldKind === 'list' ? 'repeated ' : 'optional ');
  const type = field.message ?? field.enum;
  const typeName = type ? `.${type.typeName}` : scalarName(field.scalar as ScalarType);
  return `${prefix}${typeName} ${field.name} = ${field.number};`;
}

function scalarName(scalar: ScalarType): string {
  return (ScalarType[scalar] as string).toLowerCase();
}
