import { fields, textOf } from '../formats/onnx/wire.js';
import type { Attribute } from '../formats/onnx/write.js';

/** Numbers of AttributeProto's fields. */
const [F, S] = [2, 4];

const field = (attribute: Attribute | undefined, number: number) =>
  typeof attribute === 'object' && 'encoded' in attribute
    ? [...fields(attribute.encoded)].find((one) => one.number === number)
    : undefined;

/** @returns the number that an attribute holds, whole or not; undefined of any other */
export function numberOf(attribute: Attribute | undefined): number | undefined {
  if (typeof attribute === 'object' && 'f' in attribute) return attribute.f;
  if (typeof attribute === 'object' && 'i' in attribute) return attribute.i;
  const span = field(attribute, F)?.span;
  return span && new DataView(span.buffer, span.byteOffset, span.byteLength).getFloat32(span.byteLength - 4, true);
}

/** @returns the text that an attribute holds; undefined of any other */
export function wordOf(attribute: Attribute | undefined): string | undefined {
  if (typeof attribute === 'string') return attribute;
  const found = field(attribute, S);
  return found && textOf(found);
}
