import { ImageError } from '../errors.js';

interface Layout {
  readonly width: number;
  readonly height: number;
  readonly bits: number;
  readonly offset: number;
}

/**
 * Decodes the run lengths of a bitmap, RLE8 or RLE4: one index a pixel, the first stored row first. What they skip is index 0.
 * @throws ImageError where they end before the picture does
 */
export function runLengths(buffer: Uint8Array, { width, height, bits, offset }: Layout): Uint8Array {
  const indices = new Uint8Array(width * height);
  const half = bits === 4;
  let at = offset;
  let to = 0;
  let x = 0;
  const next = (): number => {
    const byte = buffer[at++];
    if (byte === undefined) {
      throw new ImageError('decode', 'is a BMP that is cut off (pixels are missing at its end): fetch the file again');
    }
    return byte;
  };
  while (to < indices.length) {
    const count = next();
    const value = next();
    if (count > 0) {
      const fits = Math.max(0, Math.min(count, width - x));
      for (let i = 0; i < fits; i++) indices[to++] = half ? (i % 2 === 0 ? value >> 4 : value & 15) : value;
      x += fits;
    } else if (value === 0) {
      if (to % width !== 0) to += width - (to % width);
      x = 0;
    } else if (value === 1) {
      break;
    } else if (value === 2) {
      const right = next();
      to += right + next() * width;
      x = to % width;
    } else {
      const size = half ? (value + 1) >> 1 : value;
      for (let i = 0; i < value && to < indices.length; i++) {
        const byte = half ? buffer[at + (i >> 1)] : buffer[at + i];
        if (byte === undefined) next();
        indices[to++] = half ? ((byte as number) >> (i % 2 === 0 ? 4 : 0)) & 15 : (byte as number);
      }
      at += size + (size % 2);
      x += value;
    }
  }
  return indices;
}
