import type { DescEnum, EnumShape } from '@bufbuild/protobuf';

/** The value of an enum by its word, as `enumWord` writes it; 0 when no word is given, or none that there is. */
export function enumValue<D extends DescEnum>(desc: D, word: string | undefined): EnumShape<D> {
  const found = desc.values.find(({ localName }) => localName.toLowerCase() === word);
  return (found?.number ?? 0) as EnumShape<D>;
}
