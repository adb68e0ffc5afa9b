import { ImageError } from '../errors.js';

/** What the boxes of an AVIF say of its primary picture, where its decoder does something else than Pillow's. */
export interface Avif {
  /** How the stored pixels are turned when shown, as an orientation of EXIF; the decoder has turned them. */
  readonly orientation: number;
  /** Whether a part of the stored pixels is cut out when shown; the decoder has cut. */
  readonly isCropped: boolean;
  /** Whether it is grey with black at 16 and white at 235, which the decoder leaves as they are. */
  readonly isLimitedGrey: boolean;
}

interface Box {
  readonly type: string;
  readonly data: Buffer;
}

function boxes(buffer: Buffer): Box[] {
  const found: Box[] = [];
  for (let at = 0; at + 8 <= buffer.length; ) {
    let size = buffer.readUInt32BE(at);
    let head = 8;
    if (size === 1 && at + 16 <= buffer.length) {
      size = Number(buffer.readBigUInt64BE(at + 8));
      head = 16;
    }
    if (size === 0) size = buffer.length - at;
    if (size < head) break;
    found.push({ type: buffer.toString('latin1', at + 4, at + 8), data: buffer.subarray(at + head, at + size) });
    at += size;
  }
  return found;
}

const inside = (data: Buffer | undefined, type: string): Buffer | undefined =>
  data && boxes(data).find((box) => box.type === type)?.data;

/**
 * Reads the boxes of an AVIF.
 * @throws ImageError where it is grey and says nothing of its range
 */
export function readAvif(bytes: Uint8Array): Avif {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    const properties = primaryProperties(buffer);
    const of = (type: string): Buffer[] => properties.filter((box) => box.type === type).map(({ data }) => data);
    const isGrey = of('pixi').some((data) => data[4] === 1) || of('av1C').some((data) => ((data[2] ?? 0) & 0x10) !== 0);
    const range = of('colr').find((data) => data.toString('latin1', 0, 4) === 'nclx');
    if (isGrey && range === undefined) {
      throw new ImageError('decode', 'is a grey AVIF that says nothing of its range: convert it to PNG');
    }
    return {
      orientation: orientationOf(of('irot')[0], of('imir')[0]),
      isCropped: of('clap').length > 0,
      isLimitedGrey: isGrey && ((range?.[10] ?? 0x80) & 0x80) === 0,
    };
  } catch (error) {
    if (error instanceof ImageError) throw error;
    // Cut off within its boxes: its decoder says so.
    return { orientation: 1, isCropped: false, isLimitedGrey: false };
  }
}

/** The properties that are associated with the primary item (ISO/IEC 14496-12, 8.11). */
function primaryProperties(buffer: Buffer): Box[] {
  const meta = inside(buffer, 'meta')?.subarray(4);
  const pitm = inside(meta, 'pitm');
  const iprp = inside(meta, 'iprp');
  const ipma = inside(iprp, 'ipma');
  const all = boxes(inside(iprp, 'ipco') ?? Buffer.alloc(0));
  if (!pitm || !ipma) return [];
  const primary = pitm[0] === 0 ? pitm.readUInt16BE(4) : pitm.readUInt32BE(4);
  const isLong = ipma[0] !== 0;
  const isWide = ((ipma[3] ?? 0) & 1) === 1;
  const entries = ipma.readUInt32BE(4);
  let at = 8;
  for (let i = 0; i < entries; i++) {
    const item = isLong ? ipma.readUInt32BE(at) : ipma.readUInt16BE(at);
    at += isLong ? 4 : 2;
    const count = ipma.readUInt8(at++);
    const found: Box[] = [];
    for (let j = 0; j < count; j++, at += isWide ? 2 : 1) {
      const index = isWide ? ipma.readUInt16BE(at) & 0x7fff : ipma.readUInt8(at) & 0x7f;
      const box = all[index - 1];
      if (box) found.push(box);
    }
    if (item === primary) return found;
  }
  return [];
}

/** A quarter turn to the left each, then a mirror, as an orientation of EXIF. */
function orientationOf(irot: Buffer | undefined, imir: Buffer | undefined): number {
  const turns = (irot?.[0] ?? 0) & 3;
  if (imir === undefined) return [1, 8, 3, 6][turns] as number;
  const isLeftRight = ((imir[0] ?? 0) & 1) === 1;
  return (isLeftRight ? [2, 7, 4, 5] : [4, 5, 2, 7])[turns] as number;
}

/** The orientation that undoes another. */
export const undone = (orientation: number): number => ({ 6: 8, 8: 6 })[orientation] ?? orientation;

/** The file with the brand of a still picture in the place of a sequence's, as its decoder wants it: the first frame is read. */
export function asStill(bytes: Uint8Array): Uint8Array {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (buffer.toString('latin1', 8, 12) !== 'avis') return bytes;
  const copy = Buffer.from(buffer);
  copy.write('avif', 8, 'latin1');
  return copy;
}

/** Grey of 16 to 235 made 0 to 255, in place. */
export function expandGrey(data: Uint8Array): void {
  const table = Uint8Array.from({ length: 256 }, (_, value) =>
    Math.max(0, Math.min(255, Math.round(((value - 16) * 255) / 219))),
  );
  for (let i = 0; i < data.length; i++) data[i] = table[data[i] as number] as number;
}
