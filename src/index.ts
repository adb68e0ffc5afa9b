export {
  type BaseOptions,
  type BaseSpec,
  baseNames,
  type ListedBase,
  listBases,
  openBase,
  type Pooling,
  type Preprocessing,
} from './base/index.js';
export type { CacheProgress } from './commands/cache/index.js';
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
} from './commands/cache/index.js';
export { type Classification, type ClassifyOptions, type ClassScore, classify } from './commands/classify.js';
export type { CorpusOptions, LabelOptions } from './commands/corpus.js';
export { type Estimate, type EstimateOptions, estimate } from './commands/estimate.js';
export {
  type EvaluateOptions,
  type Evaluation,
  evaluate,
  type MeasuredOn,
  type SeenBefore,
  type WrongAnswer,
} from './commands/evaluate.js';
export { type ExplainedImage, type ExplainedPicture, type ExplainOptions, explain } from './commands/explain.js';
export { type ExportOptions, type ExportResult, exportHead, type HeadFormat } from './commands/export.js';
export { type FeaturesOptions, features } from './commands/features.js';
export {
  type ComparedPair,
  type CompareOptions,
  type Comparison,
  compareHeads,
  type HeadsCompared,
  type ListedHead,
  listHeads,
  removeHead,
} from './commands/heads.js';
export { type MapsOptions, type MapsResult, maps } from './commands/maps.js';
export { type PlanResult, type TrainPlanOptions, trainPlan } from './commands/plan.js';
export { headInfo, type PredictOptions, predict } from './commands/predict.js';
export type { Answer, LabelScore, Prediction } from './commands/prediction.js';

export { type ReportOptions, type ReportResult, report } from './commands/report.js';
export { drawSample as sample, type Sample, type SampleOptions } from './commands/sample.js';
export type { Sorted } from './commands/sort-into.js';
export { type LayerSummary, type ModelSummary, type SummaryOptions, summary } from './commands/summary.js';
export {
  type SweepOptions,
  type SweepResult,
  sweep,
} from './commands/sweep.js';
export { type TrainOptions, type TrainResult, train, type WrongImage } from './commands/train.js';
export { type WorkerOptions, worker } from './commands/worker.js';
export type { Device, Engine, EngineName, EngineOptions, Runner } from './engine/engine.js';
export { openEngine } from './engine/index.js';
export {
  CacheError,
  DataError,
  DownloadError,
  EngineError,
  FileError,
  HeadError,
  ImageError,
  LabelError,
  ModelError,
  PermafrostError,
  UsageError,
  WeightsError,
} from './errors.js';
export type { FilesProgress } from './extract/batches.js';
export type { FeaturesProgress, FeaturesResult } from './extract/extract.js';
export { type HashedImage, type ThumbnailsOptions, thumbnails } from './extract/thumbnails.js';
export type { Graph, Node, Op, Shape, Tensor } from './graph/graph.js';
export type { FitOptions } from './heads/fit-options.js';
export {
  type Fold,
  type Head,
  type HeadInfo,
  HeadPredictor,
  type Learned,
  loadHead,
  type Threshold,
} from './heads/index.js';
export { type Plan, type PlannedHead, readPlan } from './heads/plan-file.js';
export type { Axis, Space } from './heads/space.js';
export { openVectors, type StoredVectors } from './heads/stored-vectors.js';
export type { Ranking } from './heads/sweep-ranking.js';
export type { SweepRow } from './heads/sweep-row.js';
export type { SweepProgress } from './heads/trials.js';
export type { ImageMode } from './images/index.js';
export type { Targets, Task } from './labels/targets.js';
export type { Colormap, Grid } from './maps/index.js';
export type { Coverage, CoverageRule } from './metrics/conformal.js';
export type { Intervals } from './metrics/intervals.js';
export type {
  ClassificationMetrics,
  ClassMetrics,
  Metrics,
  MultilabelMetrics,
  RegressionMetrics,
} from './metrics/metrics.js';
export { COLORMAPS, HEAD_FORMATS, RANKINGS, TASKS } from './options/choices.js';
export type { Int8Report } from './quantize/index.js';
export { FeatureSet, type FoundVectors, type SetInfo, type SetSpec, type VectorBatch } from './store/index.js';
export { type FixedShrinkage, IncrementalLda, type IncrementalLdaOptions } from './train/closed/incremental.js';
export { type HeadOptions, type ResolvedOptions, resolveOptions } from './train/options.js';
export type { ClosedForm, EpochRecord, Examples, TrainHooks, TrainingData } from './train/run.js';
export { outputsOf, type TrainedHead, trainHeads } from './train/train.js';
export { memoryVectors, type VectorSource } from './train/vectors.js';
export { version } from './version.js';
