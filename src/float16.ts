const scratch = new Float32Array(1);
const scratchBits = new Uint32Array(scratch.buffer);

/** The least magnitude that rounds to infinity in float16. */
export const FLOAT16_LIMIT = 65520;

/** One float32 value to the nearest float16, ties to even (IEEE 754-2008). */
function encode(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x47800000) return sign | 0x7c00;
  if (magnitude >= 0x38800000) return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
  // Below 2^-14 float16 counts in steps of 2^-24, which is the last place of float32 at 0.5: adding 0.5 rounds.
  scratchBits[0] = magnitude;
  scratch[0] = (scratch[0] as number) + 0.5;
  return sign | ((scratchBits[0] as number) - 0x3f000000);
}

/** @returns the float16 bits nearest to each value; magnitudes from 65520 up become infinite */
export function toFloat16(values: Float32Array): Uint16Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const result = new Uint16Array(values.length);
  for (let i = 0; i < result.length; i++) result[i] = encode(bits[i] as number);
  return result;
}

let decoded: Float32Array | undefined;

function decodeTable(): Float32Array {
  const table = new Float32Array(65536);
  for (let i = 0; i < 65536; i++) {
    const exponent = (i >>> 10) & 31;
    const fraction = i & 1023;
    const sign = i & 0x8000 ? -1 : 1;
    if (exponent === 31) table[i] = fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
    else table[i] = sign * (exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24);
  }
  return table;
}

/** @returns the values of float16 bits, exactly */
export function fromFloat16(bits: Uint16Array): Float32Array {
  decoded ??= decodeTable();
  const result = new Float32Array(bits.length);
  for (let i = 0; i < result.length; i++) result[i] = decoded[bits[i] as number] as number;
  return result;
}
