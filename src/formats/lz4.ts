const MAGIC = 0x184d2204;
/** Bytes of the largest block, by its number in the frame's descriptor. */
const BLOCKS = [0, 0, 0, 0, 2 ** 16, 2 ** 18, 2 ** 20, 2 ** 22];

/**
 * Unpacks one LZ4 frame. Checksums are passed over.
 * @param most bytes that the frame may hold
 * @throws RangeError for what is no such frame, or holds more
 * @see https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md
 */
export function unpackLz4Frame(bytes: Uint8Array, most: number): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0, true) !== MAGIC) throw new RangeError('not an LZ4 frame');
  const flags = view.getUint8(4);
  const block = BLOCKS[(view.getUint8(5) >> 4) & 7] ?? 0;
  const [hasBlockSums, hasSize, hasDictionary] = [flags & 0x10, flags & 0x08, flags & 0x01];
  if (hasDictionary) throw new RangeError('an LZ4 frame with a dictionary');
  let at = 6 + (hasSize ? 8 : 0) + 1;
  let out = new Uint8Array(block);
  let length = 0;
  for (;;) {
    const head = view.getUint32(at, true);
    at += 4;
    if (head === 0) return out.subarray(0, length);
    const size = head & 0x7fffffff;
    if (at + size > bytes.length) throw new RangeError('an LZ4 frame that is cut');
    if (length + block > most) throw new RangeError(`an LZ4 frame of more than ${most} bytes`);
    if (length + block > out.length) {
      const larger = new Uint8Array(Math.max(2 * out.length, length + block));
      larger.set(out.subarray(0, length));
      out = larger;
    }
    const input = bytes.subarray(at, at + size);
    if (head >>> 31 === 1) {
      out.set(input, length);
      length += size;
    } else {
      length = unpackBlock(input, out, length);
    }
    at += size + (hasBlockSums ? 4 : 0);
  }
}

/** Blocks may go back into those before them. @returns the end of what was written */
function unpackBlock(input: Uint8Array, out: Uint8Array, start: number): number {
  let at = 0;
  let end = start;
  const long = (first: number): number => {
    let length = first;
    if (first !== 15) return length;
    for (;;) {
      const more = input[at++] ?? 0;
      length += more;
      if (more !== 255) return length;
    }
  };
  while (at < input.length) {
    const token = input[at++] as number;
    const literals = long(token >> 4);
    out.set(input.subarray(at, at + literals), end);
    at += literals;
    end += literals;
    if (at >= input.length) break;
    const back = (input[at] as number) | ((input[at + 1] ?? 0) << 8);
    at += 2;
    const count = long(token & 15) + 4;
    if (back === 0 || back > end || end + count > out.length) throw new RangeError('an LZ4 block that is damaged');
    for (let i = 0; i < count; i++, end++) out[end] = out[end - back] as number;
  }
  return end;
}
