/** What options choose from. The rooms that act on a choice take it from here. */
export const ENGINES = ['onnx', 'tensorflow'] as const;
export const DEVICES = ['cpu', 'webgpu', 'cuda', 'coreml', 'dml'] as const;
export const POOLINGS = ['avg', 'max'] as const;
export const PREPROCESSINGS = ['tf', 'caffe', 'torch', 'none'] as const;
export const IMAGE_MODES = ['photo', 'keras', 'keras-bilinear'] as const;
export const PRECISIONS = ['float32', 'int8'] as const;
export const STORED_TYPES = ['float32', 'float16'] as const;
export const TASKS = ['binary', 'multiclass', 'multilabel', 'regression'] as const;
export const SPLITS = ['auto', 'none'] as const;
export const MISSING = ['error', 'skip'] as const;
/** What hidden layers may be followed by, as Keras defines each; gelu is the exact one. */
export const ACTIVATIONS = ['relu', 'gelu', 'silu', 'tanh', 'elu', 'sigmoid'] as const;
export const OPTIMIZERS = ['adam', 'adamw', 'sgd', 'rmsprop', 'lbfgs', 'lda', 'ridge'] as const;
/** How the covariance of `lda` is shrunk, where it is no share. */
export const SHRINKAGES = ['trace', 'auto', 'loo'] as const;
export const SCHEDULES = ['constant', 'cosine', 'linear', 'exponential', 'step'] as const;
export const SCALES = ['none', 'standard', 'l2'] as const;
/**
 * What a threshold is chosen to make largest on validation: `youden` recall of both sides together (Youden 1950), `f1` the F1 of
 * the positives, `accuracy` the share of right answers.
 */
export const THRESHOLD_CRITERIA = ['youden', 'f1', 'accuracy'] as const;
/**
 * What heads may be ranked by, on validation, and in what order tables have it. Of `loss`, `hammingLoss`, `calibrationError`, `mae` and
 * `rmse` the lowest is best.
 */
export const RANKINGS = [
  'loss',
  'accuracy',
  'balancedAccuracy',
  'f1',
  'microF1',
  'hammingLoss',
  'auc',
  'averagePrecision',
  'calibrationError',
  'r2',
  'mae',
  'rmse',
] as const;
export const COLORMAPS = ['gray', 'viridis', 'magma'] as const;
export const PICTURE_FORMATS = ['png', 'svg'] as const;
/** `keras`: Keras 3's `.keras`; `h5`: its older HDF5 file; `tfjs`: a folder with a TensorFlow.js layers model; `onnx`. */
export const HEAD_FORMATS = ['keras', 'h5', 'tfjs', 'onnx'] as const;
export const SET_FORMATS = ['arrow', 'parquet', 'npy'] as const;
/** `json` is one list of objects, `jsonl` an object a line. */
export const PREDICTION_FORMATS = ['plain', 'csv', 'json', 'jsonl', 'arrow', 'parquet'] as const;
export const SHELLS = ['bash', 'zsh', 'fish'] as const;
