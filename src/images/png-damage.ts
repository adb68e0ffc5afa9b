const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (0xedb88320 & -(crc & 1));
  return crc;
});

function crc32(bytes: Uint8Array): number {
  let crc = ~0;
  for (const byte of bytes) crc = (crc >>> 8) ^ (TABLE[(crc ^ byte) & 255] as number);
  return ~crc >>> 0;
}

/** What is wrong with a PNG that its decoder refuses without saying why, as far as its chunks tell. */
export function pngDamage(bytes: Uint8Array): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let pixels = 0;
  for (let at = 8; ; ) {
    if (at + 12 > buffer.length) return 'it is cut off';
    const size = buffer.readUInt32BE(at);
    const end = at + 12 + size;
    const name = buffer.toString('latin1', at + 4, at + 8);
    if (!/^[a-zA-Z]{4}$/.test(name)) return `what follows its byte ${at} is no chunk`;
    if (end > buffer.length) return `it is cut off within its chunk ${name}`;
    if (crc32(buffer.subarray(at + 4, end - 4)) !== buffer.readUInt32BE(end - 4)) {
      return `its chunk ${name} does not fit its checksum`;
    }
    if (name === 'IDAT') pixels += size;
    if (name === 'IEND') return pixels === 0 ? 'it has no pixels' : 'its pixels are damaged or not all there';
    at = end;
  }
}
