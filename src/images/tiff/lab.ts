import type { Raster } from '../raster.js';
import type { Layout } from './layout.js';
import type { Samples } from './samples.js';

/** White of CIELab in a TIFF: D50. */
const WHITE = [0.9642, 1, 0.8249] as const;
/** XYZ under D50 to linear sRGB (Bradford's adaptation to D65). */
const TO_RGB = [
  [3.1338561, -1.6168667, -0.4906146],
  [-0.9787684, 1.9161415, 0.033454],
  [0.0719453, -0.2289914, 1.4052427],
] as const;

const cube = (value: number): number => (value > 6 / 29 ? value ** 3 : 3 * (6 / 29) ** 2 * (value - 4 / 29));
const encode = (light: number): number => {
  const value = light <= 0.0031308 ? 12.92 * light : 1.055 * light ** (1 / 2.4) - 0.055;
  return Math.round(255 * Math.max(0, Math.min(1, value)));
};

/** CIELab as TIFF 6.0 has it, L from 0 to all bits set, a and b with a sign, as sRGB. */
export function fromLab(samples: Samples, { width, height, bits, samples: perPixel }: Layout): Raster {
  const most = 2 ** bits - 1;
  const step = 2 ** (bits - 8);
  const signed = (value: number): number => (value > most / 2 ? value - most - 1 : value) / step;
  const data = new Uint8Array(width * height * 3);
  for (let i = 0, from = 0, to = 0; i < width * height; i++, from += perPixel) {
    const y = ((100 * (samples[from] as number)) / most + 16) / 116;
    const x = y + signed(samples[from + 1] as number) / 500;
    const z = y - signed(samples[from + 2] as number) / 200;
    const xyz = [x, y, z].map((value, c) => (WHITE[c] as number) * cube(value));
    for (const row of TO_RGB) data[to++] = encode(row.reduce((sum, weight, c) => sum + weight * (xyz[c] as number), 0));
  }
  return { data, width, height, channels: 3 };
}
