export { type BaseOptions, type BaseSpec, baseNames, openBase, type Pooling } from './base/index.js';
export {
  type CompactedSet,
  type CompactSetsOptions,
  compactSets,
  type DamagedPart,
  listSets,
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
export {
  type EpochRecord,
  type Head,
  type HeadInfo,
  type HeadOptions,
  HeadPredictor,
  loadHead,
  type Metrics,
} from './heads/index.js';
export { type Prediction, type PredictOptions, predict } from './heads/predict.js';
export { type TrainOptions, type TrainResult, train } from './heads/train-set.js';
export type { ImageMode, Preprocessing } from './images/index.js';
export { drawSample as sample, type Sample, type SampleOptions } from './images/sample.js';
export { version } from './version.js';
