import { constants, inflateSync } from 'node:zlib';

/** Compressions that are undone here: none, LZW, deflate under its two numbers, PackBits. */
export const UNPACKED: ReadonlySet<number> = new Set([1, 5, 8, 32946, 32773]);

const REVERSED = Uint8Array.from({ length: 256 }, (_, byte) => {
  let result = 0;
  for (let bit = 0; bit < 8; bit++) if ((byte >> bit) & 1) result |= 128 >> bit;
  return result;
});

/**
 * Undoes the compression of a strip or tile.
 * @param length bytes that it must hold
 * @returns null where it holds less, or is damaged
 */
export function unpack(
  packed: Uint8Array,
  compression: number,
  isReversed: boolean,
  length: number,
): Uint8Array | null {
  const source = isReversed ? packed.map((byte) => REVERSED[byte] as number) : packed;
  if (compression === 1) return source.length < length ? null : source.subarray(0, length);
  if (compression === 5) return lzw(source, length);
  if (compression === 32773) return packBits(source, length);
  try {
    // Its checksum may be missing.
    const options = { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: Math.max(length + 2 ** 16, 2 ** 20) };
    const result = inflateSync(source, options);
    return result.length < length ? null : result.subarray(0, length);
  } catch {
    return null;
  }
}

function packBits(source: Uint8Array, length: number): Uint8Array | null {
  const result = new Uint8Array(length);
  let to = 0;
  for (let at = 0; to < length; ) {
    const header = source[at++];
    if (header === undefined) return null;
    if (header === 128) continue;
    if (header < 128) {
      if (at + header >= source.length) return null;
      result.set(source.subarray(at, at + Math.min(header + 1, length - to)), to);
      at += header + 1;
      to += header + 1;
    } else {
      const byte = source[at++];
      if (byte === undefined) return null;
      result.fill(byte, to, Math.min(to + 257 - header, length));
      to += 257 - header;
    }
  }
  return result;
}

const CLEAR = 256;
const END = 257;

/** LZW as TIFF 6.0 has it: codes from the high bit on, one bit longer one code early. */
function lzw(source: Uint8Array, length: number): Uint8Array | null {
  const before = new Uint16Array(4096);
  const last = new Uint8Array(4096);
  const sizes = new Uint16Array(4096);
  for (let i = 0; i < 256; i++) {
    last[i] = i;
    sizes[i] = 1;
  }
  const result = new Uint8Array(length);
  let to = 0;
  let next = 258;
  let width = 9;
  let held = 0;
  let heldBits = 0;
  let previous = -1;
  for (let at = 0; to < length; ) {
    while (heldBits < width) {
      if (at >= source.length) return null;
      held = ((held << 8) | (source[at++] as number)) & 0xffffff;
      heldBits += 8;
    }
    const code = (held >> (heldBits - width)) & ((1 << width) - 1);
    heldBits -= width;
    if (code === END) return null;
    if (code === CLEAR) {
      next = 258;
      width = 9;
      previous = -1;
      continue;
    }
    if (previous === -1) {
      if (code > 255) return null;
      result[to++] = code;
      previous = code;
      continue;
    }
    if (code > next || next > 4095) return null;
    const known = code < next;
    const chain = known ? code : previous;
    const size = sizes[chain] as number;
    let first = 0;
    for (let entry = chain, fill = to + size - 1; fill >= to; fill--) {
      first = last[entry] as number;
      if (fill < length) result[fill] = first;
      entry = before[entry] as number;
    }
    to += size;
    if (!known && to < length) result[to] = first;
    if (!known) to++;
    before[next] = previous;
    last[next] = first;
    sizes[next] = (sizes[previous] as number) + 1;
    next++;
    if (next === (1 << width) - 1 && width < 12) width++;
    previous = code;
  }
  return result;
}
