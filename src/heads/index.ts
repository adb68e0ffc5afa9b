export { type FitOptions, resolveFit } from './fit-options.js';
export { type Head, type HeadOrigin, HeadPredictor, loadHead, makeHead, saveHead } from './head.js';
export type { Fold, HeadInfo, Threshold } from './head-info.js';
export { labelsFromFile } from './label-file.js';
export { type DataFile, type Example, type LabelledData, labelsFromFolders, type Split } from './labels.js';
export type { BootstrapOptions, Intervals } from './metrics/bootstrap.js';
export {
  type ClassificationMetrics,
  type ClassMetrics,
  type Metrics,
  type MultilabelMetrics,
  measureClasses,
  measureLabels,
  measureValues,
  type RegressionMetrics,
} from './metrics/metrics.js';
export { OPTION_RULES, type OptionRule } from './option-rules.js';
export {
  checkOption,
  expected,
  type HeadOptions,
  optionFromText,
  type ResolvedOptions,
  resolveOptions,
} from './options.js';
export { type Sides, splitExamples } from './split.js';
export type { Standardization } from './standardize.js';
export type { Targets, Task } from './targets.js';
export {
  type EpochRecord,
  type Examples,
  outputsOf,
  type TrainedHead,
  type TrainHooks,
  type TrainingData,
  type TrainingEnd,
  trainHead,
  trainHeads,
} from './train.js';
export { memoryVectors, type VectorBlock, type VectorSource } from './vectors.js';
