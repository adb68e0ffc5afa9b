import { ImageError } from '../errors.js';
import type { Encoded, Raster } from './raster.js';

const KINDS = ['PBM', 'PGM', 'PPM'] as const;

/** What tells a PBM, PGM or PPM, plain or raw, from a text that begins with a P: its size follows. */
export const PNM_START = /^P[1-6](?:(?:[ \t\n\v\f\r]|#[^\n\r]*[\n\r])+\d+){2}(?:[ \t\n\v\f\r]|#)/;

interface Header {
  /** PBM, PGM or PPM. */
  readonly kind: (typeof KINDS)[number];
  readonly isPlain: boolean;
  readonly width: number;
  readonly height: number;
  /** The value of white. */
  readonly most: number;
  /** Where the pixels begin. */
  readonly at: number;
}

const isSpace = (byte: number): boolean => byte === 32 || (byte >= 9 && byte <= 13);

/** The next number or other word of a header, behind spaces and comments. */
function token(bytes: Uint8Array, from: number): { readonly text: string; readonly at: number } {
  let at = from;
  let text = '';
  for (; at < bytes.length && text.length <= 10; at++) {
    const byte = bytes[at] as number;
    if (byte === 35) {
      while (at < bytes.length && bytes[at] !== 10 && bytes[at] !== 13) at++;
    } else if (!isSpace(byte)) {
      text += String.fromCharCode(byte);
    } else if (text !== '') {
      break;
    }
  }
  return { text, at };
}

function readHeader(bytes: Uint8Array): Header {
  const which = (bytes[1] as number) - 49;
  const kind = KINDS[which % 3] as (typeof KINDS)[number];
  const values: number[] = [];
  let at = 2;
  for (let i = 0; i < (kind === 'PBM' ? 2 : 3); i++) {
    const word = token(bytes, at);
    at = word.at;
    if (!/^\d{1,10}$/.test(word.text)) {
      const found = word.text === '' ? 'it ends' : `'${word.text.replace(/[^ -~]/g, '?')}'`;
      throw new ImageError('decode', `is a ${kind} whose header has ${found} in place of a number: fetch it again`);
    }
    values.push(Number(word.text));
  }
  const [width = 0, height = 0, most = 1] = values;
  if (width < 1 || height < 1 || most < 1 || most > 65535) {
    throw new ImageError('decode', `is a ${kind} of ${width}x${height} with the largest value ${most}: fetch it again`);
  }
  return { kind, isPlain: which < 3, width, height, most, at: at + 1 };
}

/**
 * Reads the header of a picture in Netpbm's formats (PBM, PGM, PPM, with text or bytes, 8 or 16 bits), as Pillow's
 * PpmImagePlugin reads it.
 * @param exact whether samples of 16-bit grey are refused, for which Keras has no 8-bit pixels
 * @throws ImageError when it is absurd
 */
export function readPnm(bytes: Uint8Array, exact: boolean): Encoded {
  const header = readHeader(bytes);
  const { kind, isPlain, width, height, most, at } = header;
  if (exact && kind === 'PGM' && most > 255) {
    throw new ImageError(
      'decode',
      'is a PGM of 16 bits, whose values Keras cuts off at 255: use --image photo, or convert it to 8 bits',
    );
  }
  const channels = kind === 'PPM' ? 3 : 1;
  const samples = width * height * channels;
  const needed =
    kind === 'PBM' && !isPlain ? Math.ceil(width / 8) * height : samples * (most > 255 && !isPlain ? 2 : 1);
  const decode = (): Raster => {
    if (bytes.length - at < needed) throw cutOff(kind);
    const values = isPlain ? plain(bytes, header, samples) : raw(bytes, header, samples);
    return { data: scaled(values, header), width, height, channels };
  };
  return { width, height, bytes: samples * (most > 255 ? 3 : 1), orientation: 1, decode };
}

const cutOff = (kind: string): ImageError =>
  new ImageError('decode', `is a ${kind} that is cut off (pixels are missing at its end): fetch the file again`);

/** Of a value halfway between two whole numbers, the even one, as Python's `round`. */
function roundEven(value: number): number {
  const low = Math.floor(value);
  const rest = value - low;
  return rest > 0.5 || (rest === 0.5 && low % 2 === 1) ? low + 1 : low;
}

function scaled(values: Uint8Array | Uint16Array, { kind, most }: Header): Uint8Array {
  if (kind === 'PBM') return (values as Uint8Array).map((bit) => (bit === 0 ? 255 : 0));
  if (most === 255) return values as Uint8Array;
  const table = Uint8Array.from({ length: most < 256 ? 256 : 65536 }, (_, value) =>
    Math.min(255, roundEven((value / most) * 255)),
  );
  const result = new Uint8Array(values.length);
  for (let i = 0; i < values.length; i++) result[i] = table[values[i] as number] as number;
  return result;
}

function raw(bytes: Uint8Array, { kind, width, most, at }: Header, samples: number): Uint8Array | Uint16Array {
  if (kind === 'PBM') {
    const stride = Math.ceil(width / 8);
    return Uint8Array.from({ length: samples }, (_, i) => {
      const x = i % width;
      return ((bytes[at + Math.floor(i / width) * stride + (x >> 3)] as number) >> (7 - (x & 7))) & 1;
    });
  }
  if (most < 256) return bytes.subarray(at, at + samples);
  const values = new Uint16Array(samples);
  for (let i = 0; i < samples; i++) {
    values[i] = ((bytes[at + 2 * i] as number) << 8) | (bytes[at + 2 * i + 1] as number);
  }
  return values;
}

/** Samples written as text; comments may stand among them, and the digits of a PBM may stand without spaces. */
function plain(bytes: Uint8Array, { kind, most, at }: Header, samples: number): Uint8Array | Uint16Array {
  const values = most < 256 ? new Uint8Array(samples) : new Uint16Array(samples);
  let from = at - 1;
  for (let i = 0; i < samples; i++) {
    while (from < bytes.length && (isSpace(bytes[from] as number) || bytes[from] === 35)) {
      if (bytes[from] === 35) while (from < bytes.length && bytes[from] !== 10 && bytes[from] !== 13) from++;
      else from++;
    }
    if (from >= bytes.length) throw cutOff(kind);
    let value = 0;
    const start = from;
    for (; from < bytes.length; from++) {
      const digit = (bytes[from] as number) - 48;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
      if (kind === 'PBM' || value > most) {
        from++;
        break;
      }
    }
    if (from === start || value > most) {
      const found = from === start ? `the byte ${bytes[from]}` : `${value}`;
      throw new ImageError('decode', `is a ${kind} with ${found} among its values of 0 to ${most}: fetch it again`);
    }
    values[i] = value;
  }
  return values;
}
