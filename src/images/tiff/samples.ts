import type { Layout } from './layout.js';
import { cutOff } from './tags.js';
import { unpack } from './unpack.js';

/** Samples as stored, `[height, width, samples]`. */
export type Samples =
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | Int8Array
  | Int16Array
  | Int32Array
  | Float32Array
  | Float64Array;

/** Bytes of a sample once unpacked. */
export const sampleBytes = (bits: number): number => (bits <= 8 ? 1 : bits <= 16 ? 2 : bits <= 32 ? 4 : 8);

function room(layout: Layout, length: number): Samples {
  const { bits, format } = layout;
  const kinds = {
    1: { 1: Uint8Array, 2: Int8Array, 3: Uint8Array },
    2: { 1: Uint16Array, 2: Int16Array, 3: Float32Array },
    4: { 1: Uint32Array, 2: Int32Array, 3: Float32Array },
    8: { 1: Float64Array, 2: Float64Array, 3: Float64Array },
  } as const;
  return new kinds[sampleBytes(bits) as 1 | 2 | 4 | 8][format](length);
}

/** The bytes of a strip or tile, unpacked. */
export function blockBytes(buffer: Uint8Array, layout: Layout, index: number, length: number): Uint8Array {
  const { compression, isReversed, offsets, counts } = layout;
  const offset = offsets[index] as number;
  const stored = compression === 1 ? length : (counts[index] ?? buffer.length - offset);
  if (offset + stored > buffer.length) throw cutOff('pixels are missing at its end');
  const bytes = unpack(buffer.subarray(offset, offset + stored), compression, isReversed, length);
  if (bytes === null) throw cutOff('its compressed pixels are damaged or not all there');
  return bytes;
}

/** Reads one row's samples, as stored: little or big end first, or bits packed from the high one. */
function readRow(
  bytes: Uint8Array,
  at: number,
  count: number,
  { bits, format, isLittle }: Layout,
  into: Samples,
): void {
  if (bits === 8) {
    for (let i = 0; i < count; i++) into[i] = bytes[at + i] as number;
    return;
  }
  if (bits < 16 || bits === 24) {
    let held = 0;
    let heldBits = 0;
    for (let i = 0, from = at; i < count; i++) {
      while (heldBits < bits) {
        held = ((held << 8) | (bytes[from++] as number)) & 0xffffffff;
        heldBits += 8;
      }
      into[i] = (held >>> (heldBits - bits)) & (2 ** bits - 1);
      heldBits -= bits;
      held &= 2 ** heldBits - 1;
    }
    return;
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const read: (from: number) => number =
    bits === 16
      ? format === 3
        ? (from) => halfFloat(view.getUint16(from, isLittle))
        : (from) => view.getUint16(from, isLittle)
      : bits === 32
        ? format === 3
          ? (from) => view.getFloat32(from, isLittle)
          : (from) => view.getUint32(from, isLittle)
        : (from) => view.getFloat64(from, isLittle);
  for (let i = 0; i < count; i++) into[i] = read(at + (i * bits) / 8);
}

function halfFloat(bits: number): number {
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  const size =
    exponent === 0
      ? fraction * 2 ** -24
      : exponent === 31
        ? fraction === 0
          ? Number.POSITIVE_INFINITY
          : Number.NaN
        : (1 + fraction / 1024) * 2 ** (exponent - 15);
  return bits & 0x8000 ? -size : size;
}

/** Undoes the floating point predictor: differences of bytes, the bytes of one weight together, the highest first. */
function undoFloats(bytes: Uint8Array, at: number, pixels: number, samples: number, { bits, isLittle }: Layout): void {
  const size = bits / 8;
  const length = pixels * samples * size;
  const row = bytes.slice(at, at + length);
  for (let i = samples; i < length; i++) row[i] = (row[i] as number) + (row[i - samples] as number);
  const count = pixels * samples;
  for (let i = 0; i < count; i++) {
    for (let b = 0; b < size; b++) bytes[at + i * size + (isLittle ? size - 1 - b : b)] = row[b * count + i] as number;
  }
}

/**
 * Reads all samples of a TIFF whose compression is undone here.
 * @throws ImageError where they are not all there
 */
export function readSamples(buffer: Uint8Array, layout: Layout): Samples {
  const { width, height, bits, samples, isPlanar, predictor, block } = layout;
  const result = room(layout, width * height * samples);
  const perPixel = isPlanar ? 1 : samples;
  const rowBytes = Math.ceil((block.width * perPixel * bits) / 8);
  const across = Math.ceil(width / block.width);
  const down = Math.ceil(height / block.height);
  const row = room(layout, block.width * perPixel);
  for (let index = 0; index < across * down * (isPlanar ? samples : 1); index++) {
    const plane = Math.floor(index / (across * down));
    const left = (index % across) * block.width;
    const top = (Math.floor(index / across) % down) * block.height;
    const columns = Math.min(block.width, width - left);
    const rows = Math.min(block.height, height - top);
    let bytes = blockBytes(buffer, layout, index, rowBytes * (block.isTile ? block.height : rows));
    if (predictor === 3) bytes = Uint8Array.from(bytes);
    for (let y = 0; y < rows; y++) {
      if (predictor === 3) undoFloats(bytes, y * rowBytes, block.width, perPixel, layout);
      readRow(bytes, y * rowBytes, block.width * perPixel, layout, row);
      if (predictor === 2)
        for (let i = perPixel; i < row.length; i++) row[i] = (row[i] as number) + (row[i - perPixel] as number);
      let to = ((top + y) * width + left) * samples + plane;
      if (!isPlanar) {
        result.set(row.subarray(0, columns * samples), to);
        continue;
      }
      for (let x = 0; x < columns; x++, to += samples) result[to] = row[x] as number;
    }
  }
  return result;
}
