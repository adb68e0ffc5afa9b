export { type Base, type BaseModel, layerGraph } from './base.js';
export { classNames } from './class-names.js';
export { dropBase, isKept, keepBase, keptBase, keptDir } from './kept.js';
export { type Named, nameBase, readBase, readShortcut } from './known.js';
export { type ListedBase, listBases } from './list.js';
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
export { type Preprocessing, preprocessingOps } from './preprocess.js';
export { loadBase, onnxProgram, vectorGraph } from './program.js';
export { loadProven, type ProofOptions } from './proof.js';
export { checkRevision, renewed, superseded } from './revision.js';
export { type BaseSpec, baseDigest, digestGraph, type Pooling } from './spec.js';
