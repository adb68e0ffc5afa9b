import { ModelError } from '../errors.js';
import type { Activation, Convolution, Graph, Op, Shape, Tensor } from '../graph/graph.js';
import { inferShapes, inputShapes, weightSpecs } from '../graph/infer.js';
import { KERAS_ACTIVATIONS, TFJS_ACTIVATIONS } from './activations.js';
import { toBuiltin } from './builtin.js';

/** Who will read the file: they know different layers. */
export type Reader = 'keras' | 'tfjs';

type Config = Readonly<Record<string, unknown>>;

/** A layer as a file lists it. */
export interface WrittenLayer {
  readonly name: string;
  readonly className: string;
  /** Without its name. */
  readonly config: Config;
  readonly inputs: readonly string[];
  /** Of one example. */
  readonly shape: Shape;
  readonly weights: readonly { readonly name: string; readonly tensor: Tensor }[];
}

/** The last layer is the output, the first the input. */
export type WrittenModel = readonly WrittenLayer[];

const NAMES: Readonly<Record<Reader, Partial<Record<Activation, string>>>> = {
  keras: { ...KERAS_ACTIVATIONS, hard_sigmoid: 'hard_sigmoid' },
  tfjs: TFJS_ACTIVATIONS,
};

/** @throws ModelError for an activation that the reader does not have */
export function activationName(activation: Activation, reader: Reader): string {
  const name = NAMES[reader][activation];
  if (name === undefined) throw new ModelError(`${PEOPLE[reader]} has no activation ${activation}: export to onnx`);
  return name;
}

export const PEOPLE: Readonly<Record<Reader, string>> = { keras: 'Keras 3', tfjs: 'TensorFlow.js' };

function convolution(op: Convolution, reader: Reader): Config {
  return {
    kernel_size: op.kernelSize,
    strides: op.strides,
    padding: op.padding,
    dilation_rate: op.dilation,
    use_bias: op.useBias,
    activation: activationName(op.activation, reader),
    data_format: 'channels_last',
  };
}

/** What Keras calls a layer and its attributes; undefined where the reader has no such layer. */
function describe(op: Op, reader: Reader, shape: Shape): readonly [className: string, config: Config] | undefined {
  switch (op.kind) {
    case 'Conv2D':
      if (reader === 'tfjs' && op.groups > 1) return undefined;
      return [
        op.kind,
        { filters: op.filters, ...(op.groups > 1 ? { groups: op.groups } : {}), ...convolution(op, reader) },
      ];
    case 'DepthwiseConv2D':
      if (reader === 'tfjs' && op.dilation.some((rate) => rate !== 1)) return undefined; // it leaves it out in silence
      return [op.kind, { depth_multiplier: op.depthMultiplier, ...convolution(op, reader) }];
    case 'SeparableConv2D':
      return [op.kind, { filters: op.filters, depth_multiplier: op.depthMultiplier, ...convolution(op, reader) }];
    case 'BatchNormalization':
    case 'LayerNormalization':
      return [op.kind, { axis: -1, epsilon: op.epsilon, scale: op.scale, center: op.center }];
    case 'Conv2DTranspose':
      if (reader === 'tfjs' && op.outputPadding !== null) return undefined;
      return [
        op.kind,
        {
          filters: op.filters,
          ...(reader === 'keras' ? { output_padding: op.outputPadding } : {}),
          ...convolution(op, reader),
        },
      ];
    case 'GroupNormalization':
      if (reader === 'tfjs') return undefined;
      return [op.kind, { groups: op.groups, axis: -1, epsilon: op.epsilon, scale: op.scale, center: op.center }];
    case 'UnitNormalization':
      return reader === 'keras' ? [op.kind, { axis: -1 }] : undefined;
    case 'Resizing':
      if (reader === 'tfjs') return undefined;
      return [
        op.kind,
        {
          height: op.height,
          width: op.width,
          interpolation: op.interpolation,
          antialias: op.antialias,
          crop_to_aspect_ratio: op.fit === 'crop',
          pad_to_aspect_ratio: op.fit === 'pad',
          data_format: 'channels_last',
        },
      ];
    case 'CenterCrop':
      return reader === 'keras'
        ? [op.kind, { height: op.height, width: op.width, data_format: 'channels_last' }]
        : undefined;
    case 'Activation':
      return [op.kind, { activation: activationName(op.activation, reader) }];
    case 'ReLU':
      if (reader === 'tfjs') {
        if (op.negativeSlope !== 0 || op.threshold !== 0) return undefined;
        return [op.kind, op.maxValue === null ? {} : { max_value: op.maxValue }];
      }
      return [op.kind, { max_value: op.maxValue, negative_slope: op.negativeSlope, threshold: op.threshold }];
    case 'LeakyReLU':
      return [op.kind, { [reader === 'tfjs' ? 'alpha' : 'negative_slope']: op.negativeSlope }];
    case 'ELU':
      if (reader === 'tfjs' && op.alpha !== 1) return undefined;
      return [op.kind, { alpha: op.alpha }];
    case 'PReLU':
      return [op.kind, { shared_axes: op.sharedAxes.length > 0 ? op.sharedAxes : null }];
    case 'Softmax':
      if (reader === 'tfjs' && op.axis !== -1 && op.axis !== shape.length) return undefined;
      return [op.kind, { axis: op.axis }];
    case 'MaxPooling2D':
    case 'AveragePooling2D':
      return [
        op.kind,
        { pool_size: op.poolSize, strides: op.strides, padding: op.padding, data_format: 'channels_last' },
      ];
    case 'GlobalAveragePooling2D':
    case 'GlobalMaxPooling2D':
      return [op.kind, { data_format: 'channels_last', ...(reader === 'keras' ? { keepdims: op.keepdims } : {}) }];
    case 'ZeroPadding2D':
      return [op.kind, { padding: op.margins, data_format: 'channels_last' }];
    case 'Cropping2D':
      return [op.kind, { cropping: op.margins, data_format: 'channels_last' }];
    case 'UpSampling2D':
      if (reader === 'tfjs' && op.interpolation === 'bilinear') return undefined; // it aligns pixels otherwise
      return [op.kind, { size: op.size, interpolation: op.interpolation, data_format: 'channels_last' }];
    case 'Add':
    case 'Multiply':
    case 'Average':
    case 'Maximum':
    case 'Minimum':
      return [op.kind, {}];
    case 'Subtract':
      return reader === 'keras' ? [op.kind, {}] : undefined;
    case 'Concatenate':
      return [op.kind, { axis: op.axis }];
    case 'Dense':
      return [op.kind, { units: op.units, use_bias: op.useBias, activation: activationName(op.activation, reader) }];
    case 'Flatten':
      return [op.kind, { data_format: 'channels_last' }];
    case 'Reshape':
      return [op.kind, { target_shape: op.targetShape }];
    case 'Permute':
      return [op.kind, { dims: op.dims }];
    case 'Rescaling': {
      const single = op.scale.length === 1 && op.offset.length === 1;
      if (reader === 'tfjs' && !single) return undefined;
      return [op.kind, single ? { scale: op.scale[0], offset: op.offset[0] } : { scale: op.scale, offset: op.offset }];
    }
    default:
      return undefined;
  }
}

/**
 * A layer graph as the layers of a file.
 * @throws ModelError that names a layer which the reader does not have
 */
export function writtenModel(graph: Graph, reader: Reader): WrittenModel {
  const builtin = toBuiltin(graph, reader);
  const shapes = inferShapes(builtin);
  return builtin.nodes.flatMap((node): WrittenLayer[] => {
    const { name, op, inputs } = node;
    const shape = shapes.get(name) ?? [];
    if (op.kind === 'InputLayer') return [{ name, className: op.kind, config: {}, inputs, shape, weights: [] }];
    const found = describe(op, reader, shape);
    if (!found) {
      throw new ModelError(
        `layer ${name} (${op.kind}) cannot be written for ${PEOPLE[reader]}: export to onnx, which holds every layer`,
      );
    }
    const [className, config] = found;
    const specs = weightSpecs(op, inputShapes(node, shapes));
    const weights = specs.map((spec, i) => ({ name: spec.name, tensor: node.weights[i] as Tensor }));
    const layer = { name, className, config, inputs, shape, weights };
    // TensorFlow.js has no keepdims
    if (reader !== 'tfjs' || !('keepdims' in op) || !op.keepdims) return [layer];
    const flat = { ...layer, name: `${name}_flat`, shape: [shape[2] ?? null] };
    const config2 = { target_shape: shape };
    return [flat, { name, className: 'Reshape', config: config2, inputs: [flat.name], shape, weights: [] }];
  });
}
