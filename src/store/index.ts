export { byCodePoint, canonicalJson, type Json, sha256Hex } from '../canonical.js';
export { realSystem, type StoreFile, type StoreOptions, type StoreSystem } from '../files/index.js';
export { crc32c } from '../formats/arrow/crc32c.js';
export { HeldKeys } from './held-keys.js';
export { type FileFact, FileIndex, type FileStat } from './index-file.js';
export { KeySet } from './key-set.js';
export type { Maker } from './part.js';
export { firstUnstorable, PART_MS, PART_ROWS, PartWriter } from './part-writer.js';
export { Quarantine, type QuarantineEntry } from './quarantine.js';
export type { FoundVectors, LocatedRows, VectorBatch } from './rows.js';
export {
  FeatureSet,
  lastUsed,
  type SetInfo,
  type SetOptions,
} from './set.js';
export { isGone } from './set-folder.js';
export { fingerprint, SET_FORMAT, type SetSpec } from './spec.js';
