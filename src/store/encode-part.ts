import {
  Field,
  FixedSizeBinary,
  FixedSizeList,
  Float16,
  Float32,
  makeData,
  RecordBatch,
  Schema,
  Struct,
} from 'apache-arrow';
import { sha256Hex } from '../canonical.js';
import { toFloat16 } from '../float16.js';
import { crc32c } from '../formats/arrow/crc32c.js';
import { ArrowFileWriter } from '../formats/arrow/file.js';
import { type Maker, METADATA } from './part.js';
import type { SetSpec } from './spec.js';

const hex8 = (crc: number): string => crc.toString(16).padStart(8, '0');

/** @returns the Arrow schema of keys and vectors of a set */
export function vectorSchema({ features, type }: SetSpec, metadata: readonly (readonly [string, string])[]): Schema {
  const valueType = type === 'float16' ? new Float16() : new Float32();
  // The child is named and nullable as pyarrow makes it, so that the type equals pa.list_(pa.float32(), d).
  const listType = new FixedSizeList(features, new Field('item', valueType, true));
  return new Schema(
    [new Field('sha256', new FixedSizeBinary(32), false), new Field('features', listType, false)],
    new Map(metadata),
  );
}

/**
 * @param keys [rows, 32] flat
 * @param values [rows, d] flat, as they are stored
 */
export function vectorBatch(schema: Schema, keys: Uint8Array, values: Float32Array | Uint16Array): RecordBatch {
  const rows = keys.length / 32;
  const listType = schema.fields[1]?.type as FixedSizeList<Float32>;
  const type = listType.children[0]?.type as Float32;
  const child = makeData({ type, length: values.length, nullCount: 0, data: values as Float32Array });
  const children = [
    makeData({ type: new FixedSizeBinary(32), length: rows, nullCount: 0, data: keys }),
    makeData({ type: listType, length: rows, nullCount: 0, child }),
  ];
  return new RecordBatch(schema, makeData({ type: new Struct(schema.fields), length: rows, nullCount: 0, children }));
}

/**
 * Encodes rows as one part. The same rows, in any order, give the same bytes: they are sorted by key, and of two rows of one key
 * the first stays.
 * @param keys [rows, 32] flat
 * @param vectors [rows, d] flat
 * @param origin `merged`: a digest of the names of the parts that these rows come from
 * @returns the file's name and bytes, and how many rows it holds
 */
export function encodePart(
  set: { readonly spec: SetSpec; readonly fingerprint: string },
  maker: Maker,
  keys: Uint8Array,
  vectors: Float32Array,
  { merged }: { readonly merged?: string } = {},
): { name: string; bytes: Uint8Array; rows: number } {
  const d = set.spec.features;
  const rowKeys = Array.from({ length: keys.length / 32 }, (_, i) =>
    Buffer.from(keys.buffer, keys.byteOffset + 32 * i, 32),
  );
  const order = rowKeys
    .map((key, row) => ({ key, row }))
    .sort((a, b) => Buffer.compare(a.key, b.key) || a.row - b.row)
    .filter(({ key }, i, all) => i === 0 || !key.equals(all[i - 1]?.key ?? key));
  const rows = order.length;
  const sortedKeys = new Uint8Array(rows * 32);
  const sorted = new Float32Array(rows * d);
  order.forEach(({ key, row }, i) => {
    sortedKeys.set(key, i * 32);
    sorted.set(vectors.subarray(row * d, (row + 1) * d), i * d);
  });
  const values = set.spec.type === 'float16' ? toFloat16(sorted) : sorted;
  const checksums = {
    features: [hex8(crc32c(new Uint8Array(values.buffer, values.byteOffset, values.byteLength)))],
    sha256: [hex8(crc32c(sortedKeys))],
  };
  const schema = vectorSchema(set.spec, [
    [METADATA.fingerprint, set.fingerprint],
    [METADATA.engine, maker.engine],
    [METADATA.engineVersion, maker.engineVersion],
    [METADATA.version, maker.version],
    ...(merged === undefined ? [] : [[METADATA.merged, merged] as const]),
    [METADATA.crc32c, JSON.stringify(checksums)],
  ]);
  const writer = new ArrowFileWriter();
  writer.write(vectorBatch(schema, sortedKeys, values));
  const bytes = writer.finish().toUint8Array(true);
  return { name: `part-${sha256Hex(bytes).slice(0, 32)}.arrow`, bytes, rows };
}
