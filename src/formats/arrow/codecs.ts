import { CompressionType, compressionRegistry } from 'apache-arrow';
import { decompressZstd } from 'hyparquet-compressors';
import { unpackLz4Frame } from '../lz4.js';

/** Bytes of one buffer of a compressed batch. */
const MOST = 2 ** 30;

/** Lets Arrow's readers take what pandas and polars compress: LZ4 frames and ZSTD. */
export function readCompressed(): void {
  compressionRegistry.set(CompressionType.LZ4_FRAME, { decode: (bytes) => unpackLz4Frame(bytes, MOST) });
  // A copy begins where numbers of 8 bytes may.
  compressionRegistry.set(CompressionType.ZSTD, { decode: (bytes) => decompressZstd(bytes).slice() });
}
