import sharp from 'sharp';
import { type Colormap, colors } from '../maps/colormaps.js';
import { fitted, textPaths } from '../maps/text.js';
import { type Activation, logitOf, meanOf } from './activation.js';
import { heatPixels, opacity, rangeOf } from './heat.js';

/** What an overlay shows. */
export interface Overlay {
  /** What the base saw, `[height, width, channels]`, flat, 0 to 255. */
  readonly pixels: Uint8Array | Float32Array;
  readonly height: number;
  readonly width: number;
  readonly channels: 1 | 3;
  readonly activation: Activation;
  /** Above the photo: the file's name. */
  readonly title: string;
  /** Above the map: what it is the map of. */
  readonly subject: string;
  /** Below: what the head says. */
  readonly scores: string;
  /** What mean and bias add up to. */
  readonly sum: 'logit' | 'value';
}

/** Pixels that the longer side of a photo gets at least, each of its own a square of whole pixels. */
const SIDE = 400;
const MARGIN = 24;
const GAP = 20;
const TEXT = { title: 20, small: 15, line: 26 } as const;
const BAR = { width: 18, labels: 76 } as const;
const GREY = '#4a4a4a';

/** @returns the photo, RGB, `[height, width, 3]` */
function rgb({ pixels, height, width, channels }: Overlay): Uint8Array {
  const result = new Uint8Array(height * width * 3);
  for (let i = 0; i < result.length; i++) {
    result[i] = Math.round(pixels[channels === 3 ? i : Math.floor(i / 3)] as number);
  }
  return result;
}

/** @returns a picture of which each pixel is a square of `zoom` × `zoom` */
function zoomed(pixels: Uint8Array, { height, width }: Pick<Overlay, 'height' | 'width'>, zoom: number): Uint8Array {
  const result = new Uint8Array(pixels.length * zoom * zoom);
  const row = width * zoom * 3;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width * zoom; x++) {
      const from = (y * width + Math.floor(x / zoom)) * 3;
      result.set(pixels.subarray(from, from + 3), y * zoom * row + x * 3);
    }
    for (let i = 1; i < zoom; i++) result.copyWithin((y * zoom + i) * row, y * zoom * row, (y * zoom + 1) * row);
  }
  return result;
}

/** @returns the photo as the base saw it, RGB, each pixel `zoom` × `zoom` */
export const photoPixels = (overlay: Overlay, zoom: number): Uint8Array => zoomed(rgb(overlay), overlay, zoom);

/** @returns the map over the photo in grey, RGB, in the size of `photoPixels` */
export function overlayPixels(overlay: Overlay, zoom: number, colormap: Colormap): Uint8Array {
  const heat = heatPixels(overlay.activation, overlay.height * zoom, overlay.width * zoom, colormap);
  const pixels = photoPixels(overlay, zoom);
  for (let i = 0; i < pixels.length; i += 3) {
    const [r = 0, g = 0, b = 0] = pixels.subarray(i, i + 3);
    const light = 0.299 * r + 0.587 * g + 0.114 * b; // of ITU-R BT.601: under the colours only light and dark are the photo's
    const at = (i / 3) * 4;
    const share = (heat[at + 3] as number) / 255;
    for (let c = 0; c < 3; c++) pixels[i + c] = Math.round((heat[at + c] as number) * share + light * (1 - share));
  }
  return pixels;
}

/** The colours of the bar, the greatest value above, as they look over the middle grey. */
function barPixels(height: number, colormap: Colormap): Uint8Array {
  const palette = colors(colormap);
  return Uint8Array.from({ length: height * 3 }, (_, at) => {
    const shade = Math.floor(((height - 1 - Math.floor(at / 3) + 0.5) / height) * 256);
    const share = opacity(shade) / 255;
    return Math.round((palette[shade * 3 + (at % 3)] as number) * share + 128 * (1 - share));
  });
}

/** A number of about three digits; the minus is as long as the plus. */
export function shown(value: number): string {
  const size = Math.abs(value);
  const text = size !== 0 && (size >= 1e5 || size < 1e-3) ? value.toExponential(1) : value.toFixed(size >= 100 ? 1 : 2);
  return text.replace(/^-0(\.0*)?$/, '0$1').replace('-', '−');
}

interface Layout {
  readonly width: number;
  readonly height: number;
  readonly images: readonly {
    readonly x: number;
    readonly y: number;
    readonly width: number;
    readonly height: number;
    readonly pixels: Uint8Array;
  }[];
  /** Lines and letters. */
  readonly drawn: string;
}

function layout(overlay: Overlay, colormap: Colormap): Layout {
  const zoom = Math.max(1, Math.ceil(SIDE / Math.max(overlay.height, overlay.width)));
  const size = { width: overlay.width * zoom, height: overlay.height * zoom };
  const top = MARGIN + TEXT.line + 8;
  const mapX = MARGIN + size.width + GAP;
  const barX = mapX + size.width + GAP;
  const width = barX + BAR.width + BAR.labels + MARGIN;
  const bottom = top + size.height;
  const { min, max } = rangeOf(overlay.activation);
  const mean = meanOf(overlay.activation);
  const { bias } = overlay.activation;
  const sum = `mean ${shown(mean)} ${bias < 0 ? '−' : '+'} bias ${shown(Math.abs(bias))} = ${overlay.sum} ${shown(logitOf(overlay.activation))}`;

  const line = (text: string, x: number, y: number, room: number, size: number, color = 'black'): string =>
    textPaths(fitted(text, size, room), x, y, { size, color });
  /** A value beside its place on the bar. */
  const tick = (value: number, name: string): string => {
    const share = max > min ? (value - min) / (max - min) : 0.5;
    const y = Math.round(bottom - share * size.height);
    const baseline = Math.min(bottom, Math.max(top + 11, y + 5));
    const x = barX + BAR.width;
    return (
      `<path d="M${x} ${y}h5" stroke="${GREY}" stroke-width="1.5"/>` +
      line(`${shown(value)}${name}`, x + 9, baseline, BAR.labels + MARGIN - 12, TEXT.small, GREY)
    );
  };
  const isApart = (value: number): boolean => {
    const room = (max - min) * (22 / size.height);
    return max > min && value - min > room && max - value > room;
  };
  const ticks = max > min ? [tick(min, ''), tick(max, '')] : [tick(min, '')];
  if (isApart(mean)) ticks.push(tick(mean, ' mean'));
  const drawn = [
    line(overlay.title, MARGIN, MARGIN + 18, size.width, TEXT.title),
    line(overlay.subject, mapX, MARGIN + 18, width - mapX - MARGIN, TEXT.title),
    ...ticks,
    line(overlay.scores, MARGIN, bottom + 26, size.width, TEXT.small, GREY),
    line(sum, mapX, bottom + 26, width - mapX - MARGIN, TEXT.small, GREY),
  ].join('\n');
  return {
    width,
    height: bottom + TEXT.line + MARGIN,
    images: [
      { x: MARGIN, y: top, ...size, pixels: photoPixels(overlay, zoom) },
      { x: mapX, y: top, ...size, pixels: overlayPixels(overlay, zoom, colormap) },
      { x: barX, y: top, width: 1, height: size.height, pixels: barPixels(size.height, colormap) },
    ],
    drawn,
  };
}

/** Of the bar, which is one pixel wide until it is placed. */
const placedWidth = ({ width }: Layout['images'][number]): number => (width === 1 ? BAR.width : width);

const png = ({ pixels, width, height }: Layout['images'][number]) =>
  sharp(pixels, { raw: { width, height, channels: 3 } });

const svg = ({ width, height }: Layout, inside: string): Buffer =>
  Buffer.from(
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">${inside}</svg>\n`,
  );

/** @returns the photo, the map over it with its colours, and what the head says, as PNG: the same bytes each time */
export async function overlayPng(overlay: Overlay, colormap: Colormap): Promise<Buffer> {
  const found = layout(overlay, colormap);
  const { width, height, images, drawn } = found;
  const layers = await Promise.all(
    images.map(async (image) => ({
      input: await png(image)
        .resize(placedWidth(image), image.height, { fit: 'fill', kernel: 'nearest' })
        .png()
        .toBuffer(),
      left: image.x,
      top: image.y,
    })),
  );
  return sharp({ create: { width, height, channels: 3, background: 'white' } })
    .composite([...layers, { input: svg(found, drawn), left: 0, top: 0 }])
    .removeAlpha()
    .png()
    .toBuffer();
}

const escaped = (text: string): string =>
  text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`).replace(/\p{Cc}/gu, ' ');

/** @returns the same as SVG, photo and map as images in it, what is written also as its title and description */
export async function overlaySvg(overlay: Overlay, colormap: Colormap): Promise<Buffer> {
  const found = layout(overlay, colormap);
  const parts = [
    `<title>${escaped(`${overlay.title}: ${overlay.subject}`)}</title>`,
    `<desc>${escaped(overlay.scores)}</desc>`,
    '<rect width="100%" height="100%" fill="white"/>',
  ];
  for (const image of found.images) {
    const data = (await png(image).png().toBuffer()).toString('base64');
    parts.push(
      `<image x="${image.x}" y="${image.y}" width="${placedWidth(image)}" height="${image.height}" preserveAspectRatio="none" ` +
        `style="image-rendering:pixelated" href="data:image/png;base64,${data}"/>`,
    );
  }
  return svg(found, [...parts, found.drawn].join('\n'));
}
