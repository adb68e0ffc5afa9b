export { type DecodeOptions, decodeBoth, decodeImage } from './decode.js';
export { BACKGROUND, type ImageMode, PIXELS_REVISIONS } from './modes.js';
export {
  empty,
  type ImageFile,
  identify,
  MAX_BYTES,
  noImage,
  type ReadImage,
  readImageFile,
  type SystemPath,
  tooLong,
} from './read.js';
export { HEAD_BYTES, type ImageFormat, looksLikeImage, sniff, type Unsupported } from './sniff.js';
export { MAX_PIXELS } from './vips.js';
