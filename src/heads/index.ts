export {
  type Head,
  type HeadOrigin,
  HeadPredictor,
  loadHead,
  makeHead,
  saveHead,
} from './head.js';
export type { HeadInfo } from './head-info.js';
export { labelsFromFile } from './label-file.js';
export { type DataFile, type Example, type LabelledData, labelsFromFolders, type Split } from './labels.js';
export { auc, type Labels, type Metrics, majorityBaseline, measure } from './metrics.js';
export { type HeadOptions, type ResolvedOptions, resolveOptions } from './options.js';
export { type Sides, splitExamples } from './split.js';
export type { Standardization } from './standardize.js';
export { type EpochRecord, type Task, type TrainedHead, type TrainHooks, trainHead, type Vectors } from './train.js';
