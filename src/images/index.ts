export { type DecodeOptions, decodeBoth, decodeImage } from './decode.js';
export { classFolders, countFiles, type FoundFile, holdsFiles, notUtf8, type SystemPath, walk } from './find.js';
export { BACKGROUND, type ImageMode, PIXELS_REVISIONS } from './modes.js';
export { identify, MAX_BYTES, type ReadImage, readImage } from './read.js';
export { type ImageFormat, looksLikeImage, sniff, type Unsupported } from './sniff.js';
export { MAX_PIXELS } from './vips.js';
