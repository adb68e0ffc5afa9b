import { CompressionType, compressionRegistry } from 'apache-arrow';
import { decompressZstd } from 'hyparquet-compressors';
import { unpackLz4Frame } from '../lz4.js';
import { Misfit } from './footer.js';

/** Bytes of one buffer of a compressed batch. */
const MOST = 2 ** 30;

/** LZ4 frames and ZSTD; what they hold begins where numbers of 8 bytes may. */
const DECODE = {
  lz4: (bytes: Uint8Array): Uint8Array => unpackLz4Frame(bytes, MOST),
  zstd: (bytes: Uint8Array): Uint8Array => decompressZstd(bytes).slice(),
} as const;

/** Lets Arrow's readers take what pandas and polars compress. */
export function readCompressed(): void {
  compressionRegistry.set(CompressionType.LZ4_FRAME, { decode: DECODE.lz4 });
  compressionRegistry.set(CompressionType.ZSTD, { decode: DECODE.zstd });
}

/**
 * @param bytes a buffer of a compressed batch: the length of what it holds, or -1 where that is stored as it is, then that
 * @throws Misfit where it holds something else
 */
export function unpacked(bytes: Uint8Array, compression: keyof typeof DECODE): Uint8Array {
  if (bytes.length === 0) return bytes;
  if (bytes.length < 8) throw new Misfit('a compressed buffer is shorter than its length');
  const length = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigInt64(0, true);
  const packed = bytes.subarray(8);
  if (length === -1n) return packed;
  if (length < 0n || length > BigInt(MOST))
    throw new Misfit(`a buffer holds ${length} bytes, at most ${MOST} are unpacked`);
  let found: Uint8Array;
  try {
    found = DECODE[compression](packed);
  } catch (error) {
    throw new Misfit(`a buffer is no ${compression.toUpperCase()}`, { cause: error });
  }
  if (BigInt(found.length) !== length) throw new Misfit(`a buffer holds ${found.length} bytes where it says ${length}`);
  return found;
}
