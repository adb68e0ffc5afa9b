import { ModelError } from '../errors.js';
import type { Convolution, Interpolation, Op, Pair } from '../graph/graph.js';
import type { Attributes } from './attributes.js';

/**
 * Layers that give their input back at inference: those of keras/src/layers/regularization, and of
 * keras/src/layers/preprocessing/image_preprocessing all whose `transform_images` does nothing but in training.
 */
export const IDLE = [
  'Dropout',
  'SpatialDropout1D',
  'SpatialDropout2D',
  'SpatialDropout3D',
  'AlphaDropout',
  'GaussianDropout',
  'GaussianNoise',
  'ActivityRegularization',
  'Identity',
  'StochasticDepth',
  'AugMix',
  'CutMix',
  'Equalization',
  'MixUp',
  'RandAugment',
  'RandomBrightness',
  'RandomColorDegeneration',
  'RandomColorJitter',
  'RandomContrast',
  'RandomElasticTransform',
  'RandomErasing',
  'RandomFlip',
  'RandomGaussianBlur',
  'RandomGrayscale',
  'RandomHeight',
  'RandomHue',
  'RandomInvert',
  'RandomPerspective',
  'RandomPosterization',
  'RandomRotation',
  'RandomSaturation',
  'RandomSharpness',
  'RandomShear',
  'RandomTranslation',
  'RandomWidth',
  'RandomZoom',
  'Solarization',
];

/** What `interpolation` may be called. @throws ModelError for one that is not supported */
export function readInterpolation(name: string): Interpolation {
  const found = INTERPOLATIONS.find((one) => one === name);
  if (!found) throw new ModelError(`the interpolation ${name} is not supported: use ${INTERPOLATIONS.join(', ')}`);
  return found;
}

const INTERPOLATIONS: readonly Interpolation[] = ['nearest', 'bilinear', 'bicubic', 'lanczos3', 'lanczos5'];

/** A layer that activates and no more, under the names of its class, as another layer's `activation` may be. */
export const ACTIVATION_LAYERS = ['LeakyReLU', 'ReLU', 'ELU', 'Softmax', 'ThresholdedReLU', 'Activation'];

function convolution(a: Attributes): Convolution {
  return {
    kernelSize: a.pair('kernel_size'),
    strides: a.pair('strides', [1, 1]),
    padding: a.padding(),
    dilation: a.pair('dilation_rate', [1, 1]),
    useBias: a.boolean('use_bias', true),
    activation: a.activation(),
  };
}

function pooling(a: Attributes) {
  const poolSize = a.pair('pool_size', [2, 2]);
  return { poolSize, strides: a.has('strides') ? a.pair('strides') : poolSize, padding: a.padding() };
}

/** An axis that must be the last one: -1, or its number in an image. */
function lastAxis(a: Attributes): void {
  if (!a.has('axis')) return;
  const axes = a.integers('axis');
  if (axes.length !== 1 || (axes[0] !== -1 && axes[0] !== a.lastAxis)) {
    throw new ModelError(`${a.where}: axis must be the last one (channels_last), found ${axes.join(', ')}`);
  }
}

/** One reader for each class of Keras; it takes all attributes that shape what the layer computes. */
const READERS: Readonly<Record<string, (a: Attributes) => Op>> = {
  Conv2D: (a) => ({ kind: 'Conv2D', filters: a.count('filters'), groups: a.count('groups', 1), ...convolution(a) }),
  DepthwiseConv2D: (a) => {
    a.only('filters', null);
    return { kind: 'DepthwiseConv2D', depthMultiplier: a.count('depth_multiplier', 1), ...grouped(a) };
  },
  SeparableConv2D: (a) => ({
    kind: 'SeparableConv2D',
    filters: a.count('filters'),
    depthMultiplier: a.count('depth_multiplier', 1),
    ...grouped(a),
  }),
  BatchNormalization: (a) => {
    lastAxis(a);
    for (const name of ['renorm', 'fused', 'virtual_batch_size', 'adjustment', 'synchronized']) ignore(a, name);
    return {
      kind: 'BatchNormalization',
      epsilon: a.number('epsilon', 1e-3),
      scale: a.boolean('scale', true),
      center: a.boolean('center', true),
    };
  },
  LayerNormalization: (a) => {
    lastAxis(a);
    a.only('rms_scaling', false, null);
    return {
      kind: 'LayerNormalization',
      epsilon: a.number('epsilon', 1e-3),
      scale: a.boolean('scale', true),
      center: a.boolean('center', true),
    };
  },
  Conv2DTranspose: (a) => {
    a.only('groups', 1, null);
    const read = convolution(a);
    if (read.dilation.some((rate) => rate !== 1)) throw new ModelError(`${a.where}: dilation_rate must be 1`);
    const outputPadding = a.has('output_padding') ? a.pair('output_padding', undefined, 0) : null;
    return { kind: 'Conv2DTranspose', filters: a.count('filters'), outputPadding, ...read };
  },
  GroupNormalization: (a) => {
    lastAxis(a);
    return {
      kind: 'GroupNormalization',
      groups: a.number('groups', 32),
      epsilon: a.number('epsilon', 1e-3),
      scale: a.boolean('scale', true),
      center: a.boolean('center', true),
    };
  },
  UnitNormalization: (a) => {
    lastAxis(a);
    return { kind: 'UnitNormalization' };
  },
  MultiHeadAttention: (a) => {
    for (const name of ['dropout', 'seed', 'query_shape', 'key_shape', 'value_shape']) ignore(a, name);
    a.only('attention_axes', null, [1]);
    a.only('sliding_window', null);
    a.only('use_gate', false, null);
    const keyDim = a.count('key_dim');
    const output = a.has('output_shape') ? a.integers('output_shape') : [];
    if (output.length > 1)
      throw new ModelError(`${a.where}: output_shape must be one number, found ${output.join(', ')}`);
    return {
      kind: 'MultiHeadAttention',
      heads: a.count('num_heads'),
      keyDim,
      valueDim: a.has('value_dim') ? a.count('value_dim') : keyDim,
      outputDim: output[0] ?? null,
      useBias: a.boolean('use_bias', true),
    };
  },
  GlobalAveragePooling1D: (a) => ({ kind: 'Reduce', by: 'mean', axes: [1], keepdims: a.boolean('keepdims', false) }),
  GlobalMaxPooling1D: (a) => ({ kind: 'Reduce', by: 'max', axes: [1], keepdims: a.boolean('keepdims', false) }),
  Resizing: (a) => {
    const [crop, pad] = [a.boolean('crop_to_aspect_ratio', false), a.boolean('pad_to_aspect_ratio', false)];
    a.only('fill_mode', 'constant', null);
    ignore(a, 'fill_value');
    if (pad && a.number('fill_value', 0) !== 0) throw new ModelError(`${a.where}: fill_value must be 0`);
    return {
      kind: 'Resizing',
      height: a.count('height'),
      width: a.count('width'),
      interpolation: a.choice('interpolation', INTERPOLATIONS, 'bilinear'),
      antialias: a.boolean('antialias', false),
      fit: crop ? 'crop' : pad ? 'pad' : 'stretch',
    };
  },
  CenterCrop: (a) => ({ kind: 'CenterCrop', height: a.count('height'), width: a.count('width') }),
  ThresholdedReLU: (a) => {
    const threshold = a.number('theta', 1);
    if (threshold < 0) throw new ModelError(`${a.where}: theta must be 0 or more`);
    return { kind: 'ReLU', maxValue: null, negativeSlope: 0, threshold };
  },
  LayerScale: (a) => {
    for (const name of ['init_values', 'projection_dim']) ignore(a, name); // the shape of its weight says it all
    return { kind: 'LayerScale' };
  },
  Activation: (a) => ({ kind: 'Activation', activation: a.activation() }),
  ReLU: (a) => ({
    kind: 'ReLU',
    maxValue: a.optionalNumber('max_value'),
    negativeSlope: a.number('negative_slope', 0),
    threshold: a.number('threshold', 0),
  }),
  LeakyReLU: (a) => ({
    kind: 'LeakyReLU',
    negativeSlope: a.has('negative_slope') ? a.number('negative_slope') : (a.numbers('alpha', 0.3)[0] ?? 0.3),
  }),
  ELU: (a) => ({ kind: 'ELU', alpha: a.numbers('alpha', 1)[0] ?? 1 }),
  PReLU: (a) => ({ kind: 'PReLU', sharedAxes: a.has('shared_axes') ? a.integers('shared_axes') : [] }),
  Softmax: (a) => {
    const axes = a.has('axis') ? a.integers('axis') : [-1];
    if (axes.length !== 1) throw new ModelError(`${a.where}: a softmax over several axes is not supported`);
    return { kind: 'Softmax', axis: axes[0] ?? -1 };
  },
  MaxPooling2D: (a) => ({ kind: 'MaxPooling2D', ...pooling(a) }),
  AveragePooling2D: (a) => ({ kind: 'AveragePooling2D', ...pooling(a) }),
  GlobalAveragePooling2D: (a) => ({ kind: 'GlobalAveragePooling2D', keepdims: a.boolean('keepdims', false) }),
  GlobalMaxPooling2D: (a) => ({ kind: 'GlobalMaxPooling2D', keepdims: a.boolean('keepdims', false) }),
  ZeroPadding2D: (a) => ({ kind: 'ZeroPadding2D', margins: a.margins('padding') }),
  Cropping2D: (a) => ({ kind: 'Cropping2D', margins: a.margins('cropping') }),
  UpSampling2D: (a) => ({
    kind: 'UpSampling2D',
    size: a.pair('size', [2, 2]),
    interpolation: a.choice('interpolation', ['nearest', 'bilinear'], 'nearest'),
  }),
  Add: () => ({ kind: 'Add' }),
  Multiply: () => ({ kind: 'Multiply' }),
  Subtract: () => ({ kind: 'Subtract' }),
  Average: () => ({ kind: 'Average' }),
  Maximum: () => ({ kind: 'Maximum' }),
  Minimum: () => ({ kind: 'Minimum' }),
  CustomScaleLayer: (a) => ({ kind: 'CustomScaleLayer', scale: a.number('scale') }),
  Concatenate: (a) => ({ kind: 'Concatenate', axis: a.has('axis') ? (a.integers('axis')[0] ?? -1) : -1 }),
  Dense: (a) => ({
    kind: 'Dense',
    units: a.count('units'),
    useBias: a.boolean('use_bias', true),
    activation: a.activation(),
  }),
  Flatten: () => ({ kind: 'Flatten' }),
  Reshape: (a) => ({ kind: 'Reshape', targetShape: a.integers('target_shape') }),
  Permute: (a) => ({ kind: 'Permute', dims: a.integers('dims') }),
  Rescaling: (a) => ({ kind: 'Rescaling', scale: a.numbers('scale'), offset: a.numbers('offset', 0) }),
  Normalization: (a) => {
    const given = a.has('mean') || a.has('variance');
    const one = !a.has('axis') || a.integers('axis').length === 0; // one mean for all values
    if (!one) lastAxis(a);
    else if (!given) throw new ModelError(`${a.where}: axis None with learned statistics is not supported`);
    return {
      kind: 'Normalization',
      mean: given ? a.numbers('mean') : null,
      variance: given ? a.numbers('variance') : null,
      invert: a.boolean('invert', false),
    };
  },
};

/** Takes an attribute that changes nothing at inference, whatever it holds. */
function ignore(a: Attributes, name: string): void {
  if (a.has(name)) a.touch(name);
}

function grouped(a: Attributes): Convolution {
  a.only('groups', 1, null);
  const read = convolution(a);
  const [rows, columns]: Pair = read.strides;
  if (rows !== columns) throw new ModelError(`${a.where}: strides that differ (${rows}, ${columns}) are not supported`);
  return read;
}

/** Classes that a graph may hold, besides models within models. */
export const knownClasses = (): string[] => [...Object.keys(READERS), ...IDLE, 'InputLayer'].sort();

/**
 * @returns what a layer of Keras computes
 * @throws ModelError for a class that is unknown or an attribute that is not supported
 */
export function readLayer(className: string, a: Attributes): Op {
  if (IDLE.includes(className)) return { kind: 'Identity', className };
  const reader = Object.hasOwn(READERS, className) ? READERS[className] : undefined;
  if (!reader) throw new ModelError(`${a.where}: the class ${className} is not supported`);
  const op = reader(a);
  a.finish();
  return op;
}
