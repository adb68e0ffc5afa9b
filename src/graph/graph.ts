/** Float32 values with a shape, in C order. */
export interface Tensor {
  readonly shape: readonly number[];
  /** It may be made anew each time it is asked for (`lazily`). */
  readonly data: Float32Array;
}

/** @returns a tensor that is made each time its values are asked for, so that it takes no memory between */
export const lazily = (shape: readonly number[], make: () => Float32Array): Tensor => ({
  shape,
  get data() {
    return make();
  },
});

/** The shape of one example, without the batch axis; `null` where the model file leaves a size open. */
export type Shape = readonly (number | null)[];

export type Padding = 'same' | 'valid';
export type Pair = readonly [number, number];
/** `[[top, bottom], [left, right]]` */
export type Margins = readonly [Pair, Pair];

/**
 * An activation and what it means, whatever Keras version wrote the file: `hard_sigmoid` is relu6(x + 3) / 6 (Keras 3),
 * `hard_sigmoid_v2` is clip(0.2 x + 0.5, 0, 1) (Keras 2).
 */
export type Activation =
  | 'linear'
  | 'relu'
  | 'relu6'
  | 'sigmoid'
  | 'tanh'
  | 'softmax'
  | 'elu'
  | 'selu'
  | 'softplus'
  | 'softsign'
  | 'silu'
  | 'gelu'
  | 'gelu_tanh'
  | 'hard_sigmoid'
  | 'hard_sigmoid_v2'
  | 'hard_silu'
  | 'exponential'
  | 'mish'
  | 'log_softmax'
  | 'log_sigmoid'
  | 'hard_tanh'
  | 'tanh_shrink'
  | 'soft_shrink'
  | 'hard_shrink'
  | 'squareplus'
  | 'sparse_plus'
  | 'sparse_sigmoid';

/** A function of each value alone that is no activation. */
export type Elementwise = 'abs' | 'exp' | 'log' | 'sqrt' | 'rsqrt' | 'square' | 'reciprocal' | 'sin' | 'cos';

/** How values between pixels come about: keras/src/backend/tensorflow/image.py, `resize`. */
export type Interpolation = 'nearest' | 'bilinear' | 'bicubic' | 'lanczos3' | 'lanczos5';

export interface Convolution {
  readonly kernelSize: Pair;
  readonly strides: Pair;
  readonly padding: Padding;
  readonly dilation: Pair;
  readonly useBias: boolean;
  readonly activation: Activation;
}

/** What a node computes: Keras's layers under their Keras names, channels last, attributes in camel case. */
export type Op =
  | { readonly kind: 'InputLayer'; readonly shape: Shape }
  | ({ readonly kind: 'Conv2D'; readonly filters: number; readonly groups: number } & Convolution)
  | ({ readonly kind: 'DepthwiseConv2D'; readonly depthMultiplier: number } & Convolution)
  | ({ readonly kind: 'SeparableConv2D'; readonly filters: number; readonly depthMultiplier: number } & Convolution)
  /** `outputPadding`: null where Keras chooses the size of what comes out. */
  | ({ readonly kind: 'Conv2DTranspose'; readonly filters: number; readonly outputPadding: Pair | null } & Convolution)
  | { readonly kind: 'BatchNormalization'; readonly epsilon: number; readonly scale: boolean; readonly center: boolean }
  /** Over the last axis. */
  | { readonly kind: 'LayerNormalization'; readonly epsilon: number; readonly scale: boolean; readonly center: boolean }
  /** Of groups of channels, over all but the batch. */
  | {
      readonly kind: 'GroupNormalization';
      readonly groups: number;
      readonly epsilon: number;
      readonly scale: boolean;
      readonly center: boolean;
    }
  /** x over its length along the last axis; nothing stays nothing. */
  | { readonly kind: 'UnitNormalization' }
  /** Of query, value and key (default: the value), `[steps, size]` each. */
  | {
      readonly kind: 'MultiHeadAttention';
      readonly heads: number;
      readonly keyDim: number;
      readonly valueDim: number;
      /** Size of a step of the output. Default: that of the query. */
      readonly outputDim: number | null;
      readonly useBias: boolean;
    }
  /** ConvNeXt's: x * gamma, one gamma a channel. */
  | { readonly kind: 'LayerScale' }
  | { readonly kind: 'Activation'; readonly activation: Activation }
  | {
      readonly kind: 'ReLU';
      readonly maxValue: number | null;
      readonly negativeSlope: number;
      readonly threshold: number;
    }
  | { readonly kind: 'LeakyReLU'; readonly negativeSlope: number }
  | { readonly kind: 'ELU'; readonly alpha: number }
  /** `sharedAxes` count from 1, the first axis after the batch, as in Keras. */
  | { readonly kind: 'PReLU'; readonly sharedAxes: readonly number[] }
  | { readonly kind: 'Softmax'; readonly axis: number }
  | {
      readonly kind: 'MaxPooling2D' | 'AveragePooling2D';
      readonly poolSize: Pair;
      readonly strides: Pair;
      readonly padding: Padding;
    }
  | { readonly kind: 'GlobalAveragePooling2D' | 'GlobalMaxPooling2D'; readonly keepdims: boolean }
  /** Over axes that count from 0, the batch, and are never negative; `[]` takes none. */
  | {
      readonly kind: 'Reduce';
      readonly by: 'mean' | 'max' | 'min' | 'sum';
      readonly axes: readonly number[];
      readonly keepdims: boolean;
    }
  | { readonly kind: 'ZeroPadding2D' | 'Cropping2D'; readonly margins: Margins }
  /** `fit`: how a picture of another aspect ratio is brought to the size; `pad` with zeros. */
  | {
      readonly kind: 'Resizing';
      readonly height: number;
      readonly width: number;
      readonly interpolation: Interpolation;
      readonly antialias: boolean;
      readonly fit: 'stretch' | 'crop' | 'pad';
    }
  /** A smaller picture is enlarged and cropped instead. */
  | { readonly kind: 'CenterCrop'; readonly height: number; readonly width: number }
  | { readonly kind: 'UpSampling2D'; readonly size: Pair; readonly interpolation: 'nearest' | 'bilinear' }
  | { readonly kind: 'Add' | 'Multiply' | 'Subtract' | 'Divide' | 'Average' | 'Maximum' | 'Minimum' }
  /** Inception-ResNet's: the first input plus `scale` times the second. */
  | { readonly kind: 'CustomScaleLayer'; readonly scale: number }
  /** Axes count from 0, the batch, as in Keras, and are never negative here. */
  | { readonly kind: 'Concatenate'; readonly axis: number }
  | { readonly kind: 'Dense'; readonly units: number; readonly useBias: boolean; readonly activation: Activation }
  | { readonly kind: 'Flatten' }
  /** One size may be -1: what is left. */
  | { readonly kind: 'Reshape'; readonly targetShape: readonly number[] }
  | { readonly kind: 'Permute'; readonly dims: readonly number[] }
  /** Python's `start:stop:step` of one axis, counted from 0, the batch, and never negative. */
  | {
      readonly kind: 'Slice';
      readonly axis: number;
      readonly start: number | null;
      readonly stop: number | null;
      readonly step: number;
    }
  /** Takes out an axis of size 1, or puts one in; counted from 0, the batch, and never negative. */
  | { readonly kind: 'Squeeze' | 'ExpandDims'; readonly axis: number }
  /** null: no limit. */
  | { readonly kind: 'Clip'; readonly min: number | null; readonly max: number | null }
  | { readonly kind: 'Elementwise'; readonly by: Elementwise }
  | { readonly kind: 'Power'; readonly exponent: number }
  /** Layers that do nothing at inference (Dropout and its kin), under their Keras class name. */
  | { readonly kind: 'Identity'; readonly className: string }
  /** One value, or one a channel: x * scale + offset. */
  | { readonly kind: 'Rescaling'; readonly scale: readonly number[]; readonly offset: readonly number[] }
  /** (x - mean) / max(sqrt(variance), 1e-7), one value a channel; without `mean` here they are its weights. */
  | {
      readonly kind: 'Normalization';
      readonly mean: readonly number[] | null;
      readonly variance: readonly number[] | null;
      readonly invert: boolean;
    }
  /** RGB to BGR (Keras's `caffe` preprocessing; its own layer graph has no name for it). */
  | { readonly kind: 'ReverseChannels' }
  /** A layer of a file that is not supported, which nothing that is run may depend on. */
  | { readonly kind: 'Refused'; readonly className: string; readonly reason: string };

export type OpOf<K extends Op['kind']> = Extract<Op, { kind: K }>;

/** One call of a layer. */
export interface Node {
  /** Unique in the graph. The layer's name, unless a layer is called more than once or stands in a nested model. */
  readonly name: string;
  readonly op: Op;
  /** The class in Keras where it is not the op's: `keras.ops` with a constant (`Add`, `Multiply`, …) are Rescalings here. */
  readonly className?: string;
  /** Names of the nodes whose outputs it takes, in order. */
  readonly inputs: readonly string[];
  /** In the order in which Keras saves them; empty in an architecture that has no weights yet. */
  readonly weights: readonly Tensor[];
}

/** The class of Keras that a node came from. */
export const classOf = ({ op, className }: Node): string =>
  className ?? (op.kind === 'Identity' || op.kind === 'Refused' ? op.className : op.kind);

/** A layer graph with one image input, immutable. Nodes stand in Keras's order (`model.layers`), inputs before users. */
export interface Graph {
  readonly nodes: readonly Node[];
  readonly input: string;
  readonly output: string;
}
