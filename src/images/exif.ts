/** What XMP says where EXIF says nothing, found as Pillow finds it. @returns undefined where it says nothing; others than 1 to 8 turn nothing */
export function xmpOrientation(packet: Uint8Array | undefined): number | undefined {
  if (packet === undefined) return undefined;
  const text = Buffer.from(packet.buffer, packet.byteOffset, packet.byteLength).toString('latin1');
  const digit = /tiff:Orientation(?:="|>)([0-9])/.exec(text)?.[1];
  return digit === undefined ? undefined : Number(digit);
}

/**
 * The orientation that EXIF gives.
 * @param exif a TIFF structure: two letters of byte order, then its directory
 * @returns 1 to 8, 1 where it says nothing that makes sense; undefined where it says nothing
 */
export function exifOrientation(exif: Uint8Array): number | undefined {
  const buffer = Buffer.from(exif.buffer, exif.byteOffset, exif.byteLength);
  if (buffer.length < 14) return undefined;
  const order = buffer.toString('latin1', 0, 2);
  if (order !== 'II' && order !== 'MM') return undefined;
  const uint16 = (at: number): number => (order === 'II' ? buffer.readUInt16LE(at) : buffer.readUInt16BE(at));
  const start = order === 'II' ? buffer.readUInt32LE(4) : buffer.readUInt32BE(4);
  if (start + 2 > buffer.length) return undefined;
  const count = uint16(start);
  for (let at = start + 2, i = 0; i < count && at + 12 <= buffer.length; at += 12, i++) {
    if (uint16(at) !== 0x112) continue;
    const value = uint16(at + 8);
    return value >= 1 && value <= 8 ? value : 1;
  }
  return undefined;
}
