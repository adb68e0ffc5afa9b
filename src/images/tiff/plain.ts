import type { Raster } from '../raster.js';
import type { Space } from './read.js';

/** Photometric interpretation of each kind of pixels. */
const PHOTOMETRIC: Readonly<Record<Space, number>> = { plain: 2, cmyk: 5 };

/** Pixels in 8 bits as the simplest TIFF with their profile: how libvips is told what their colours are. */
export function plainTiff(
  { data, width, height, channels }: Raster,
  space: Space,
  profile: Uint8Array | undefined,
): Buffer {
  const photometric = channels < 3 ? 1 : PHOTOMETRIC[space];
  const isClear = space === 'plain' && channels % 2 === 0;
  // Tag, type (3: 16 bits, 4: 32, 7: bytes), count, value or where the values lie.
  const bitsAt = 8;
  const profileAt = bitsAt + 8;
  const directoryAt = profileAt + Math.ceil((profile?.length ?? 0) / 2) * 2;
  const entries = 10 + (isClear ? 1 : 0) + (profile ? 1 : 0);
  const pixelsAt = directoryAt + 2 + 12 * entries + 4;
  const tags: [number, number, number, number][] = [
    [256, 4, 1, width],
    [257, 4, 1, height],
    [258, 3, channels, channels > 2 ? bitsAt : channels === 2 ? 8 | (8 << 16) : 8],
    [259, 3, 1, 1],
    [262, 3, 1, photometric],
    [273, 4, 1, pixelsAt],
    [277, 3, 1, channels],
    [278, 4, 1, height],
    [279, 4, 1, data.length],
    [284, 3, 1, 1],
  ];
  if (isClear) tags.push([338, 3, 1, 2]);
  if (profile) tags.push([34675, 7, profile.length, profileAt]);
  const head = Buffer.alloc(pixelsAt);
  head.write('II*\0', 'latin1');
  head.writeUInt32LE(directoryAt, 4);
  for (let i = 0; i < 4; i++) head.writeUInt16LE(8, bitsAt + 2 * i);
  if (profile) head.set(profile, profileAt);
  head.writeUInt16LE(entries, directoryAt);
  for (const [i, [tag, type, count, value]] of tags.entries()) {
    const at = directoryAt + 2 + 12 * i;
    head.writeUInt16LE(tag, at);
    head.writeUInt16LE(type, at + 2);
    head.writeUInt32LE(count, at + 4);
    head.writeUInt32LE(value, at + 8);
  }
  return Buffer.concat([head, data]);
}
