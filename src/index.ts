export {
  type BaseOptions,
  type BaseSpec,
  baseNames,
  type LayerSummary,
  type ListedBase,
  listBases,
  type ModelSummary,
  openBase,
  type Pooling,
  type SummaryOptions,
  summary,
} from './base/index.js';
export {
  type CompactedSet,
  type CompactSetsOptions,
  collectGarbage,
  compactSets,
  type DamagedPart,
  type ExportedSet,
  type ExportFormat,
  type ExportSetOptions,
  exportSet,
  type Garbage,
  type GcOptions,
  type GcResult,
  type ImportedSet,
  type ImportSetOptions,
  importSet,
  type LostImage,
  listSets,
  type MigratedSet,
  type MigrateOptions,
  migrateSets,
  type Recomputed,
  type SetSummary,
  type Verified,
  type VerifyOptions,
  verifySets,
} from './care/index.js';
export type { Device, Engine, EngineName, EngineOptions, Runner } from './engine/engine.js';
export { openEngine } from './engine/index.js';
export {
  CacheError,
  DataError,
  DownloadError,
  EngineError,
  HeadError,
  ImageError,
  LabelError,
  ModelError,
  PermafrostError,
  UsageError,
  WeightsError,
} from './errors.js';
export { type Classification, type ClassifyOptions, type ClassScore, classify } from './features/classify.js';
export { type FeaturesOptions, type FeaturesProgress, type FeaturesResult, features } from './features/extract.js';
export { FeatureSet, type FoundVectors, type SetInfo, type SetSpec, type VectorBatch } from './features/index.js';
export type { Graph, Node, Op, Shape, Tensor } from './graph/graph.js';
export type { CorpusOptions, LabelOptions } from './heads/corpus.js';
export { type ExportOptions, type ExportResult, exportHead, HEAD_FORMATS, type HeadFormat } from './heads/export.js';
export { checkFit, FIT_RULES, type FitOptions, resolveFit } from './heads/fit-options.js';
export {
  type ClassificationMetrics,
  type ClassMetrics,
  type EpochRecord,
  type Examples,
  type Fold,
  type Head,
  type HeadInfo,
  type HeadOptions,
  HeadPredictor,
  type Intervals,
  loadHead,
  type Metrics,
  type MultilabelMetrics,
  memoryVectors,
  outputsOf,
  type RegressionMetrics,
  type ResolvedOptions,
  resolveOptions,
  type Targets,
  type Task,
  type Threshold,
  type TrainedHead,
  type TrainHooks,
  type TrainingData,
  trainHeads,
  type VectorSource,
} from './heads/index.js';
export { OPTION_RULES, type OptionRule } from './heads/option-rules.js';
export { optionFromText } from './heads/options.js';
export { type PlanResult, type TrainPlanOptions, trainPlan } from './heads/plan.js';
export { type Plan, type PlannedHead, readPlan } from './heads/plan-file.js';
export { headInfo, type Prediction, type PredictOptions, predict } from './heads/predict.js';
export { csvHeader, csvLine, predictionFile } from './heads/prediction-table.js';
export { type Axis, parseAxis, type Space } from './heads/space.js';
export { openVectors, type StoredVectors } from './heads/stored-vectors.js';
export {
  RANKINGS,
  type Ranking,
  type SweepOptions,
  type SweepProgress,
  type SweepResult,
  type SweepRow,
  sweep,
} from './heads/sweep.js';
export { TASKS } from './heads/task.js';
export { type TrainOptions, type TrainResult, train } from './heads/train-set.js';
export type { ImageMode, Preprocessing } from './images/index.js';
export { drawSample as sample, type Sample, type SampleOptions } from './images/sample.js';
export { COLORMAPS, type Colormap, type Grid, type MapsOptions, type MapsResult, maps } from './report/index.js';
export { version } from './version.js';
