import type { Raster } from '../raster.js';
import type { Layout } from './layout.js';
import { blockBytes } from './samples.js';

const FIXED = 16;
const HALF = 1 << (FIXED - 1);
const fix = (value: number): number => Math.trunc(value * 2 ** FIXED + 0.5);
const clip = (value: number): number => Math.max(0, Math.min(255, value));

/** RGB of one YCbCr, in the fixed point of libtiff's tif_color.c. */
function converter({
  coefficients,
  reference,
}: Layout): (y: number, cb: number, cr: number) => [number, number, number] {
  const [red = 0.299, green = 0.587, blue = 0.114] = coefficients;
  const [y0 = 0, y1 = 255, cb0 = 128, cb1 = 255, cr0 = 128, cr1 = 255] = reference;
  const code = (value: number, black: number, white: number, range: number): number =>
    Math.trunc(((value - black) * range) / (white - black || 1));
  const d1 = fix(2 - 2 * red);
  const d2 = -fix((red * (2 - 2 * red)) / green);
  const d3 = fix(2 - 2 * blue);
  const d4 = -fix((blue * (2 - 2 * blue)) / green);
  return (y, cb, cr) => {
    const light = code(y, y0, y1, 255);
    const toBlue = code(cb - 128, cb0 - 128, cb1 - 128, 127);
    const toRed = code(cr - 128, cr0 - 128, cr1 - 128, 127);
    return [
      clip(light + ((d1 * toRed + HALF) >> FIXED)),
      clip(light + ((d4 * toBlue + HALF + d2 * toRed) >> FIXED)),
      clip(light + ((d3 * toBlue + HALF) >> FIXED)),
    ];
  };
}

/**
 * Reads a TIFF of YCbCr that is no JPEG: pixels in groups that share their colours, luma first.
 * @throws ImageError where they are not all there
 */
export function readYcbcr(buffer: Uint8Array, layout: Layout): Raster {
  const { width, height, block, subsampling } = layout;
  const [h, v] = subsampling;
  const convert = converter(layout);
  const data = new Uint8Array(width * height * 3);
  const groupsAcross = Math.ceil(block.width / h);
  const across = Math.ceil(width / block.width);
  const down = Math.ceil(height / block.height);
  for (let index = 0; index < across * down; index++) {
    const left = (index % across) * block.width;
    const top = Math.floor(index / across) * block.height;
    const rows = block.isTile ? block.height : Math.min(block.height, height - top);
    const groupsDown = Math.ceil(rows / v);
    const bytes = blockBytes(buffer, layout, index, groupsAcross * groupsDown * (h * v + 2));
    for (let y = 0; y < Math.min(rows, height - top); y++) {
      for (let x = 0; x < Math.min(block.width, width - left); x++) {
        const group = (Math.floor(y / v) * groupsAcross + Math.floor(x / h)) * (h * v + 2);
        const luma = bytes[group + (y % v) * h + (x % h)] as number;
        const rgb = convert(luma, bytes[group + h * v] as number, bytes[group + h * v + 1] as number);
        data.set(rgb, ((top + y) * width + left + x) * 3);
      }
    }
  }
  return { data, width, height, channels: 3 };
}
