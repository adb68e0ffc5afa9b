export { isKept, keepBase, keptBase, keptDir } from './kept.js';
export { type Named, nameBase, rememberBase } from './known.js';
export { type ListedBase, listBases } from './list.js';
export {
  type Base,
  type BaseModel,
  type BaseOptions,
  baseFile,
  baseNames,
  checkBaseOptions,
  isFile,
  layerGraph,
  loadBase,
  MAX_INPUT_SIZE,
  type OpenHooks,
  onnxProgram,
  openArchitecture,
  openBase,
  openClassifier,
  vectorGraph,
} from './open.js';
export { type BaseSpec, baseDigest, digestGraph, type Pooling } from './spec.js';
export { type LayerSummary, type ModelSummary, type SummaryOptions, summary } from './summary.js';
