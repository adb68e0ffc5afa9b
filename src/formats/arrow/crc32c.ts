/** Castagnoli's polynomial, bits reversed (RFC 3720, B.4). */
const POLYNOMIAL = 0x82f63b78;

/** Eight tables of 256 entries: slicing-by-8 (Kounavis and Berry 2005). */
const TABLES = (() => {
  const tables = new Int32Array(8 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? POLYNOMIAL : 0);
    tables[byte] = crc;
  }
  for (let i = 256; i < tables.length; i++) {
    const previous = tables[i - 256] as number;
    tables[i] = (previous >>> 8) ^ (tables[previous & 255] as number);
  }
  return tables;
})();

function step(crc: number, byte: number): number {
  return (crc >>> 8) ^ (TABLES[(crc ^ byte) & 255] as number);
}

/** @returns the CRC-32C of the bytes, an integer in [0, 2^32); with the CRC of what came before as `seed`, of both together */
export function crc32c(bytes: Uint8Array, seed = 0): number {
  let crc = ~seed;
  let at = 0;
  const lead = Math.min(bytes.length, -bytes.byteOffset & 3);
  while (at < lead) crc = step(crc, bytes[at++] as number);
  const words = new Int32Array(bytes.buffer, bytes.byteOffset + at, (bytes.length - at) >>> 2);
  const even = words.length & ~1;
  for (let i = 0; i < even; i += 2) {
    const a = crc ^ (words[i] as number);
    const b = words[i + 1] as number;
    crc =
      (TABLES[1792 | (a & 255)] as number) ^
      (TABLES[1536 | ((a >>> 8) & 255)] as number) ^
      (TABLES[1280 | ((a >>> 16) & 255)] as number) ^
      (TABLES[1024 | (a >>> 24)] as number) ^
      (TABLES[768 | (b & 255)] as number) ^
      (TABLES[512 | ((b >>> 8) & 255)] as number) ^
      (TABLES[256 | ((b >>> 16) & 255)] as number) ^
      (TABLES[b >>> 24] as number);
  }
  at += even * 4;
  while (at < bytes.length) crc = step(crc, bytes[at++] as number);
  return ~crc >>> 0;
}
