/**
 * Unpacks the codes of a GIF's frame.
 * @param bits of the smallest code, less one
 * @returns `length` indices; null where the codes end before, or are none
 */
export function unpackCodes(codes: Uint8Array, bits: number, length: number): Uint8Array | null {
  if (bits > 11) return null;
  const clear = 1 << bits;
  const end = clear + 1;
  const before = new Uint16Array(4096);
  const last = new Uint8Array(4096);
  const sizes = new Uint16Array(4096);
  for (let i = 0; i < clear; i++) {
    last[i] = i;
    sizes[i] = 1;
  }
  const result = new Uint8Array(length);
  let to = 0;
  let next = clear + 2;
  let width = bits + 1;
  let held = 0;
  let heldBits = 0;
  let previous = -1;
  let first = 0;
  for (let at = 0; to < length; ) {
    while (heldBits < width) {
      if (at >= codes.length) return null;
      held |= (codes[at++] as number) << heldBits;
      heldBits += 8;
    }
    const code = held & ((1 << width) - 1);
    held >>>= width;
    heldBits -= width;
    if (code === end) return null;
    if (code === clear) {
      next = clear + 2;
      width = bits + 1;
      previous = -1;
      continue;
    }
    if (previous === -1) {
      if (code > clear) return null;
      first = code;
      result[to++] = code;
      previous = code;
      continue;
    }
    if (code > next) return null;
    const known = code < next;
    const source = known ? code : previous;
    const size = sizes[source] as number;
    let fill = to + size - 1;
    for (let entry = source; fill >= to; fill--) {
      if (fill < length) result[fill] = last[entry] as number;
      if (fill === to) first = last[entry] as number;
      entry = before[entry] as number;
    }
    to += size;
    if (!known) {
      if (to < length) result[to] = first;
      to++;
    }
    if (next < 4096) {
      before[next] = previous;
      last[next] = first;
      sizes[next] = (sizes[previous] as number) + 1;
      if (next === (1 << width) - 1 && width < 12) width++;
      next++;
    }
    previous = code;
  }
  return result;
}
