import { ModelError } from '../../errors.js';

/** One field of a protocol buffer message. Varints are read as 64 signed bits, the rest as bytes. */
export interface Field {
  readonly number: number;
  readonly type: 'varint' | 'fixed64' | 'bytes' | 'fixed32';
  readonly int: bigint;
  readonly bytes: Uint8Array;
  /** The field as it is encoded, its tag included. */
  readonly span: Uint8Array;
}

const TYPES = { 0: 'varint', 1: 'fixed64', 2: 'bytes', 5: 'fixed32' } as const;
const NOTHING = new Uint8Array();
const LONGEST_VARINT = 10;

function varint(bytes: Uint8Array, from: number): { value: bigint; end: number } {
  let value = 0n;
  for (let i = 0; i < LONGEST_VARINT; i++) {
    const byte = bytes[from + i];
    if (byte === undefined) break;
    value |= BigInt(byte & 0x7f) << BigInt(7 * i);
    if (byte < 0x80) return { value: BigInt.asIntN(64, value), end: from + i + 1 };
  }
  throw new ModelError('it is damaged or cut off, it cannot be read as a protocol buffer: copy or export it again');
}

/**
 * The fields of a message one after another, as views: nothing is copied, and nothing is taken at its word, so the work is
 * bounded by the bytes that are there.
 * @throws ModelError where the bytes are no such message
 */
export function* fields(bytes: Uint8Array): Generator<Field> {
  for (let at = 0; at < bytes.length; ) {
    const start = at;
    const tag = varint(bytes, at);
    const key = Number(BigInt.asUintN(32, tag.value));
    const type = TYPES[(key & 7) as keyof typeof TYPES] as Field['type'] | undefined;
    const number = key >>> 3;
    at = tag.end;
    let int = 0n;
    let length = type === 'fixed64' ? 8 : type === 'fixed32' ? 4 : 0;
    if (type === 'varint' || type === 'bytes') {
      const read = varint(bytes, at);
      at = read.end;
      if (type === 'varint') int = read.value;
      else
        length = read.value >= 0n && read.value <= BigInt(bytes.length) ? Number(read.value) : Number.POSITIVE_INFINITY;
    }
    if (type === undefined || number === 0 || at + length > bytes.length) {
      throw new ModelError('it is damaged or cut off, it cannot be read as a protocol buffer: copy or export it again');
    }
    const value = length === 0 ? NOTHING : bytes.subarray(at, at + length);
    at += length;
    yield { number, type, int, bytes: value, span: bytes.subarray(start, at) };
  }
}

/** Whole numbers of a repeated field, packed or not. */
export function integers(field: Field): bigint[] {
  if (field.type === 'varint') return [field.int];
  const values: bigint[] = [];
  for (let at = 0; at < field.bytes.length; ) {
    const { value, end } = varint(field.bytes, at);
    values.push(value);
    at = end;
  }
  return values;
}

const utf8 = new TextDecoder();

/** A text field; bytes that are no UTF-8 become replacement characters. */
export const textOf = (field: Field): string => utf8.decode(field.bytes);
