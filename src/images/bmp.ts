import { decode } from 'bmp-ts';
import { ImageError } from '../errors.js';

/**
 * The size that a Windows bitmap's header gives.
 * @throws ImageError when the header is absurd or pixels are missing
 */
export function bmpHeader(bytes: Uint8Array, maxPixels: number): { width: number; height: number } {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (buffer.length < 30) throw new ImageError('decode', 'is cut off within the header');
  const old = buffer.readUInt32LE(14) === 12;
  const width = old ? buffer.readUInt16LE(18) : buffer.readInt32LE(18);
  const height = Math.abs(old ? buffer.readInt16LE(20) : buffer.readInt32LE(22));
  const bits = buffer.readUInt16LE(old ? 24 : 28);
  const compression = old || buffer.length < 34 ? 0 : buffer.readUInt32LE(30);
  if (width < 1 || height < 1) throw new ImageError('decode', `has a size of ${width}x${height}`);
  if (width * height > maxPixels) {
    throw new ImageError('decode', `has more than ${maxPixels / 1e6} million pixels: make it smaller`);
  }
  const packed = compression === 1 || compression === 2;
  const needed = Math.ceil((width * bits) / 32) * 4 * height;
  if (!packed && buffer.readUInt32LE(10) + needed > buffer.length) {
    throw new ImageError('decode', 'cannot be decoded whole (pixels are missing at its end)');
  }
  return { width, height };
}

/**
 * Decodes a Windows bitmap to RGB, `[height, width, 3]`; alpha is dropped.
 * @throws ImageError when its header is absurd or pixels are missing
 */
export function decodeBmp(bytes: Uint8Array, maxPixels: number): { data: Uint8Array; width: number; height: number } {
  const { width, height } = bmpHeader(bytes, maxPixels);
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let abgr: Uint8Array; // its option for RGBA leaves palettes as they are
  try {
    abgr = decode(buffer).data;
  } catch (error) {
    throw new ImageError('decode', `cannot be decoded (${(error as Error).message})`, { cause: error });
  }
  if (abgr.length < width * height * 4) throw new ImageError('decode', 'cannot be decoded whole (pixels are missing)');
  const data = new Uint8Array(width * height * 3);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) data[3 * i + c] = abgr[4 * i + 3 - c] ?? 0;
  }
  return { data, width, height };
}
