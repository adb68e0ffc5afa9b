export {
  type DecodeOptions,
  decodeImage,
  MAX_PIXELS,
} from './decode.js';
export { classFolders, countFiles, type FoundFile, holdsFiles, walk } from './find.js';
export { BACKGROUND, type ImageMode, PIXELS_REVISION } from './modes.js';
export { MAX_BYTES, type ReadImage, readImage } from './read.js';
export { type ImageFormat, looksLikeImage, sniff, type Unsupported } from './sniff.js';
