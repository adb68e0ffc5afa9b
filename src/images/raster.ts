/** Decoded pixels, 8 bits a sample, row by row, `[height, width, channels]`: grey, grey and alpha, RGB, or RGB and alpha (not premultiplied). */
export interface Raster {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 2 | 3 | 4;
}

/** What a header says of a picture whose pixels are decoded here. */
export interface Encoded {
  readonly width: number;
  readonly height: number;
  /** Bytes that its pixels take once decoded. */
  readonly bytes: number;
  /** Of EXIF: 1 to 8, 1 is upright. */
  readonly orientation: number;
  /**
   * The pixels, as stored: not turned.
   * @throws ImageError where they are not all there
   */
  readonly decode: () => Raster;
}

/** The same pixels as RGB: grey repeated, alpha dropped. */
export function toRgb(raster: Raster): Raster {
  const { data, width, height, channels } = raster;
  if (channels === 3) return raster;
  const pixels = width * height;
  const rgb = new Uint8Array(pixels * 3);
  const [g, b] = channels === 4 ? [1, 2] : [0, 0];
  for (let i = 0, from = 0, to = 0; i < pixels; i++, from += channels, to += 3) {
    rgb[to] = data[from] as number;
    rgb[to + 1] = data[from + g] as number;
    rgb[to + 2] = data[from + b] as number;
  }
  return { data: rgb, width, height, channels: 3 };
}

/** A picture without its alpha, on a background; rounded as Pillow's paste does. */
export function blend(raster: Raster, background: readonly [number, number, number]): Raster {
  const { data, width, height, channels } = raster;
  if (channels === 1 || channels === 3) return raster;
  const pixels = width * height;
  const result = new Uint8Array(pixels * 3);
  const [g, b] = channels === 4 ? [1, 2] : [0, 0];
  for (let i = 0, from = 0, to = 0; i < pixels; i++, from += channels, to += 3) {
    const alpha = data[from + channels - 1] as number;
    result[to] = mix(data[from] as number, background[0], alpha);
    result[to + 1] = mix(data[from + g] as number, background[1], alpha);
    result[to + 2] = mix(data[from + b] as number, background[2], alpha);
  }
  return { data: result, width, height, channels: 3 };
}

function mix(above: number, below: number, alpha: number): number {
  const sum = above * alpha + below * (255 - alpha) + 128;
  return ((sum >> 8) + sum) >> 8;
}

/** Whether an orientation of EXIF swaps width and height. */
export const isSideways = (orientation: number): boolean => orientation >= 5 && orientation <= 8;

/** A picture turned upright from an orientation of EXIF (1 to 8; others are 1), as `PIL.ImageOps.exif_transpose` does. */
export function upright(raster: Raster, orientation: number): Raster {
  if (orientation < 2 || orientation > 8) return raster;
  const { data, width, height, channels } = raster;
  const sideways = isSideways(orientation);
  const [columns, rows] = sideways ? [height, width] : [width, height];
  const fromRight = [2, 3, 7, 8].includes(orientation);
  const fromBottom = [3, 4, 6, 7].includes(orientation);
  const result = new Uint8Array(data.length);
  let to = 0;
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) {
      const [across, down] = sideways ? [y, x] : [x, y];
      const column = fromRight ? width - 1 - across : across;
      const row = fromBottom ? height - 1 - down : down;
      let from = (row * width + column) * channels;
      for (let c = 0; c < channels; c++) result[to++] = data[from++] as number;
    }
  }
  return { data: result, width: columns, height: rows, channels };
}
