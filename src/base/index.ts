export { type Base, type BaseModel, layerGraph } from './base.js';
export { DEFAULT_BATCH_SIZE, fittingBatch, fittingLanes } from './batch.js';
export {
  calibratedFor,
  calibrationFile,
  calibrationOf,
  calibrationsOf,
  inFloat,
  type KeptCalibration,
  keepCalibration,
  keepSpeed,
  keptSpeed,
} from './calibrations.js';
export { classNames } from './class-names.js';
export { dropBase, isKept, keepBase, keptBase, moveToCache } from './kept.js';
export { type Named, readBase, readShortcut } from './known.js';
export { type ListedBase, listBases } from './list.js';
export { floatNamed, openNamed } from './named.js';
export {
  openBase,
  openClassifier,
} from './open.js';
export {
  type BaseOptions,
  baseFile,
  baseNames,
  checkBaseOptions,
  isFile,
  MAX_INPUT_SIZE,
  type OpenHooks,
} from './options.js';
export { type Outline, outlineBase } from './outline.js';
export { keptDir } from './place.js';
export { type Calibrating, checkPrecision, nameBase, type PrecisionOptions } from './precision.js';
export { type Preprocessing, preprocessingOps } from './preprocess.js';
export { floatProgram, loadBase, onnxProgram, vectorGraph } from './program.js';
export { hasWholeSums, int8Tolerance, loadProven, OWN_PICTURES, type ProofOptions, saturates } from './proof.js';
export { checkRevision, renewed, superseded } from './revision.js';
export { type BaseSpec, baseDigest, digestGraph, type Pooling } from './spec.js';
