import { DataError } from '../errors.js';

/** What stands at the start of an .npy file (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html). */
export interface NpyHeader {
  readonly dtype: '<f2' | '<f4' | '<f8';
  readonly shape: readonly [rows: number, columns: number];
  /** Where the values begin. */
  readonly offset: number;
}

const MAGIC = Buffer.from('\x93NUMPY', 'latin1');
/** numpy aligns the values to it. */
const ALIGN = 64;
/** Bytes in which the header of a matrix ends. */
export const NPY_HEAD = 4096;

/** @returns the header of a matrix in C order, version 1.0 */
export function npyHeader(dtype: NpyHeader['dtype'], [rows, columns]: readonly [number, number]): Uint8Array {
  const text = `{'descr': '${dtype}', 'fortran_order': False, 'shape': (${rows}, ${columns}), }`;
  const padding = ALIGN - ((MAGIC.length + 4 + text.length + 1) % ALIGN);
  const header = Buffer.from(`${text}${' '.repeat(padding)}\n`, 'latin1');
  return Buffer.concat([MAGIC, Buffer.from([1, 0, header.length & 255, header.length >> 8]), header]);
}

/**
 * @param head the first `NPY_HEAD` bytes of the file, or all of a shorter one
 * @throws DataError for anything but a matrix of little-endian floats in C order
 */
export function parseNpyHeader(head: Uint8Array, file: string): NpyHeader {
  const bytes = Buffer.from(head.buffer, head.byteOffset, head.length);
  const major = bytes[6] ?? 0;
  if (!bytes.subarray(0, 6).equals(MAGIC) || major < 1 || major > 3 || bytes.length < 12) {
    throw new DataError(`${file} is no .npy file: save the vectors with numpy.save`);
  }
  const start = major === 1 ? 10 : 12;
  const length = major === 1 ? bytes.readUInt16LE(8) : bytes.readUInt32LE(8);
  const text = bytes.subarray(start, start + length).toString('latin1');
  const dtype = /'descr'\s*:\s*'([^']*)'/.exec(text)?.[1];
  const [, rows, columns] = /'shape'\s*:\s*\(\s*(\d+)\s*,\s*(\d+)\s*,?\s*\)/.exec(text) ?? [];
  const isFloat = dtype === '<f2' || dtype === '<f4' || dtype === '<f8';
  if (!isFloat || rows === undefined || !/'fortran_order'\s*:\s*False/.test(text) || start + length > bytes.length) {
    throw new DataError(
      `${file} must hold a matrix [images, features] of float16, float32 or float64, little-endian in C order; its header is ${text.trim().slice(0, 200)}`,
    );
  }
  return { dtype, shape: [Number(rows), Number(columns)], offset: start + length };
}
