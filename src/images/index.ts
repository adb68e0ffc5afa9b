export {
  BACKGROUND,
  type DecodeOptions,
  decodeImage,
  type ImageMode,
  MAX_PIXELS,
  PIXELS_REVISION,
} from './decode.js';
export { classFolders, countFiles, type FoundFile, holdsFiles, walk } from './find.js';
export { type Preprocessing, preprocessingOps } from './preprocess.js';
export { MAX_BYTES, type ReadImage, readImage } from './read.js';
export { type ImageFormat, looksLikeImage, sniff, type Unsupported } from './sniff.js';
