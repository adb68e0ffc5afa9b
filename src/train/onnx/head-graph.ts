import { Nodes, value } from '../../formats/onnx/nodes.js';
import { floats, int64s, type OnnxGraph, type OnnxTensor, type ValueInfo } from '../../formats/onnx/write.js';
import { addActivation, addNormalize, SHORTEST } from '../head-model.js';
import type { Activation, Ending } from '../head-net.js';
import { addUpdate, SLOTS, type Slot, STEP_SIZES } from './head-optimizers.js';

/** The shape of a head: what the forward pass needs. */
export interface NetSpec {
  /** Size of a vector. */
  readonly d: number;
  /** Units of the hidden layers. */
  readonly hidden: readonly number[];
  readonly activation: Activation;
  /** Units of the last layer. */
  readonly units: number;
  readonly ending: Ending;
  /** Whether each vector is divided by its length first. */
  readonly normalize: boolean;
}

/** What one training graph is compiled for. Heads of one spec are trained together; what is false is left out of the graph. */
export interface PackSpec extends NetSpec {
  /** Whether vectors are standardised on the way, as `(x - mean) * inverse`. */
  readonly standardize: boolean;
  readonly batchNorm: boolean;
  readonly dropout: boolean;
  readonly optimizer: 'adam' | 'sgd' | 'rmsprop';
  readonly momentum: boolean;
  readonly nesterov: boolean;
  readonly weightDecay: boolean;
  readonly l1: boolean;
  readonly l2: boolean;
  readonly classWeight: boolean;
  readonly labelSmoothing: boolean;
}

/** Keras's defaults of BatchNormalization. */
export const BATCH_NORM = { momentum: 0.99, epsilon: 1e-3 } as const;

/** A tensor that the steps change: `out` rows and `width` columns for each head. */
export interface Variable {
  readonly name: string;
  readonly out: number;
  readonly width: number;
  /** Of the first layer: heads and rows are one axis, so that one product serves all heads. */
  readonly flat: boolean;
  readonly kind: 'kernel' | 'bias' | 'gamma' | 'beta' | 'mean' | 'variance';
}

/** @returns the variables of a pack, from the features on */
export function variablesOf(spec: NetSpec & { readonly batchNorm?: boolean }): Variable[] {
  return [...spec.hidden, spec.units].flatMap((out, i, sizes) => {
    const flat = i === 0;
    const inputs = sizes[i - 1] ?? spec.d;
    const column = (kind: Variable['kind'], isFlat: boolean): Variable => ({
      name: `${kind}${i}`,
      out,
      width: 1,
      flat: isFlat,
      kind,
    });
    const isNormed = spec.batchNorm === true && i < spec.hidden.length;
    return [
      { name: `kernel${i}`, out, width: inputs, flat, kind: 'kernel' as const },
      // A bias before a batch norm does nothing, but for what Adam makes of the rounding errors in its gradient.
      ...(isNormed
        ? (['gamma', 'beta', 'mean', 'variance'] as const).map((kind) => column(kind, false))
        : [column('bias', flat)]),
    ];
  });
}

/** Whether an optimizer moves it; the others follow the batches. */
const isTrained = ({ kind }: Variable): boolean => kind !== 'mean' && kind !== 'variance';

/** @returns the names of what the optimizer keeps of a variable */
export const slotsOf = (spec: PackSpec, variable: Variable): Slot[] =>
  isTrained(variable)
    ? SLOTS[spec.optimizer].filter((slot) => slot !== 'momentum' || spec.momentum || spec.optimizer === 'adam')
    : [];

const dimsOf = ({ out, width, flat }: Variable): (number | string)[] => (flat ? [`R${out}`, width] : ['H', out, width]);

/** Where all heads have one unit and no hidden layer, logits stay `[H, B]`; else `[H, units, B]`. */
const isFlatHead = (spec: NetSpec & { readonly dropout?: boolean }): boolean =>
  spec.hidden.length === 0 && spec.units === 1 && spec.dropout !== true;

/** @returns the dims of one number a head, beside logits */
export const headColumn = (spec: NetSpec & { readonly dropout?: boolean }): (1 | 'H')[] =>
  isFlatHead(spec) ? ['H', 1] : ['H', 1, 1];

/** @returns the dims of one number a head and unit, beside logits */
export const unitColumn = (spec: NetSpec & { readonly dropout?: boolean }): (number | 'H')[] =>
  isFlatHead(spec) ? ['H', 1] : ['H', spec.units, 1];

/** @returns width of a row of targets in the graph: class number, value, or one for each unit */
export const targetWidth = ({ ending, units }: NetSpec): number => (ending === 'softmax' ? 1 : units);

const constants = (units: number): OnnxTensor[] => [
  int64s('axis1', [1]),
  int64s('last', [-1]),
  int64s('second', [-2]),
  floats('shortest', [], [SHORTEST]),
  floats(
    'classes',
    [units, 1],
    Array.from({ length: units }, (_, i) => i),
  ),
  floats('zero', [], [0]),
  floats('one', [], [1]),
  floats('two', [], [2]),
  floats('half', [], [0.5]),
  floats('root_half', [], [Math.SQRT1_2]),
  floats('gauss', [], [1 / Math.sqrt(2 * Math.PI)]),
  floats('per_unit', [], [1 / units]),
];

/** One-hot or given targets, `[units, B]`. */
const addTargets = (nodes: Nodes, ending: Ending): string =>
  ending === 'softmax' ? nodes.add('Cast', [nodes.add('Equal', ['targets', 'classes'])], { to: { i: 1 } }) : 'targets';

/**
 * Adds the loss of each example from logits, so that nothing saturates, and its derivative by the logits.
 * @returns `losses` `[H, 1, B]` for softmax, else as the logits; `delta` as the logits
 */
function addLoss(nodes: Nodes, ending: Ending, logits: string, target: string): { losses: string; delta: string } {
  switch (ending) {
    case 'sigmoid': {
      const losses = nodes.add('Sub', [nodes.add('Softplus', [logits]), nodes.add('Mul', [target, logits])]);
      return { losses, delta: nodes.add('Sub', [nodes.add('Sigmoid', [logits]), target]) };
    }
    case 'softmax': {
      const logs = nodes.add('LogSoftmax', [logits], { axis: { i: -2 } });
      const losses = nodes.add('Neg', [nodes.add('ReduceSum', [nodes.add('Mul', [target, logs]), 'second'])]);
      return { losses, delta: nodes.add('Sub', [nodes.add('Exp', [logs]), target]) };
    }
    case 'linear': {
      const error = nodes.add('Sub', [logits, target]);
      return { losses: nodes.add('Mul', [error, error]), delta: nodes.add('Mul', [error, 'two']) };
    }
  }
}

/** Adds `gradient * f'(z)` of a hidden activation, `a` being `f(z)`. */
function addDerivative(nodes: Nodes, activation: Activation, z: string, a: string, gradient: string): string {
  const slope = (): string => {
    switch (activation) {
      case 'relu':
        return nodes.add('Cast', [nodes.add('Greater', [z, 'zero'])], { to: { i: 1 } });
      case 'gelu': {
        const erf = nodes.add('Erf', [nodes.add('Mul', [z, 'root_half'])]);
        const share = nodes.add('Mul', [nodes.add('Add', [erf, 'one']), 'half']);
        const bell = nodes.add('Exp', [nodes.add('Neg', [nodes.add('Mul', [nodes.add('Mul', [z, z]), 'half'])])]);
        return nodes.add('Add', [share, nodes.add('Mul', [nodes.add('Mul', [z, 'gauss']), bell])]);
      }
      case 'silu': {
        const s = nodes.add('Sigmoid', [z]);
        return nodes.add('Add', [s, nodes.add('Mul', [a, nodes.add('Sub', ['one', s])])]);
      }
      case 'tanh':
        return nodes.add('Sub', ['one', nodes.add('Mul', [a, a])]);
      case 'elu':
        return nodes.add('Exp', [nodes.add('Min', [z, 'zero'])]);
      case 'sigmoid':
        return nodes.add('Mul', [a, nodes.add('Sub', ['one', a])]);
    }
  };
  return nodes.add('Mul', [gradient, slope()]);
}

const transposed = (nodes: Nodes, x: string): string => nodes.add('Transpose', [x], { perm: [0, 2, 1] });

/**
 * The training step of one minibatch, for all heads of a pack, as the body of an ONNX Scan (opset 20) over minibatches.
 *
 * The features `[n, d]` stay one tensor outside of the loop; a step gathers its rows by index, which measures a fifth
 * faster than rows that JavaScript copies in order. Units lie in rows everywhere, and what differs between heads is a column.
 */
export function epochGraph(spec: PackSpec): OnnxGraph {
  const { hidden, ending, units } = spec;
  const nodes = new Nodes();
  const perStep: ValueInfo[] = [value('rows', ['B'], 'int32'), value('targets', [targetWidth(spec), 'B'])];
  const perRun: ValueInfo[] = [value('share', [])];
  const ask = (list: ValueInfo[], name: string, dims: readonly (number | string)[]): string => {
    if (!list.some((one) => one.name === name)) list.push(value(name, dims));
    return name;
  };
  /** A number a head, as a column beside a variable. */
  const beside = (list: ValueInfo[], name: string, { flat, out }: Variable): string =>
    flat ? ask(list, `${name}_rows`, [`R${out}`, 1]) : ask(list, `${name}_heads`, ['H', 1, 1]);
  const column = (name: string): string => ask(perRun, name, headColumn(spec));

  let x = nodes.add('Gather', ['features', 'rows'], { axis: { i: 0 } }); // [B, d]
  if (spec.normalize) x = addNormalize(nodes, x);
  if (spec.standardize) {
    perRun.push(value('mean', [spec.d]), value('inverse', [spec.d]));
    x = nodes.add('Mul', [nodes.add('Sub', [x, 'mean']), 'inverse']);
  }
  /** @returns `values` without those whose noise is below the head's rate, the rest scaled up, and what they are multiplied by */
  const drop = (values: string, noise: string, dims: readonly (number | string)[]): { kept: string; mask: string } => {
    const stays = nodes.add('GreaterOrEqual', [ask(perStep, noise, dims), ask(perRun, 'dropout_rate', ['H', 1, 1])]);
    const mask = nodes.add('Mul', [
      nodes.add('Cast', [stays], { to: { i: 1 } }),
      ask(perRun, 'dropout_scale', ['H', 1, 1]),
    ]);
    return { kept: nodes.add('Mul', [values, mask]), mask };
  };

  // Forward.
  interface Layer {
    readonly input: string;
    readonly norm?: { readonly inverse: string; readonly hat: string };
    readonly z: string;
    readonly a: string;
    readonly mask?: string;
  }
  const trace: Layer[] = [];
  const shapes: ValueInfo[] = [];
  const isNormed = (i: number): boolean => spec.batchNorm && i < hidden.length;
  let dropped: string | undefined;
  let logits: string;
  const layers = hidden.length + 1;
  let input = x;
  for (let i = 0; ; i++) {
    let dense: string;
    if (i > 0) {
      dense = nodes.add('MatMul', [`kernel${i}`, input]); // [H, out, B]
      if (!isNormed(i)) dense = nodes.add('Add', [dense, `bias${i}`]);
    } else if (layers === 1 && spec.dropout) {
      dropped = drop(x, 'noise0', ['B', spec.d]).kept; // [H, B, d]
      shapes.push(value('kernel_shape', [3], 'int64'), value('bias_shape', [3], 'int64'));
      const kernel = nodes.add('Reshape', ['kernel0', 'kernel_shape']);
      const product = nodes.add('MatMul', [kernel, transposed(nodes, dropped)]);
      dense = nodes.add('Add', [product, nodes.add('Reshape', ['bias0', 'bias_shape'])]);
    } else {
      // [H * out, B]
      dense = nodes.add('Gemm', ['kernel0', input, ...(isNormed(0) ? [] : ['bias0'])], { transB: { i: 1 } });
      if (!isFlatHead(spec)) {
        shapes.push(value('apart', [3], 'int64'));
        dense = nodes.add('Reshape', [dense, 'apart']); // [H, out, B]
      }
    }
    if (i === layers - 1) {
      logits = dense;
      trace.push({ input, z: dense, a: dense });
      break;
    }
    let z = dense;
    let norm: Layer['norm'];
    if (isNormed(i)) {
      const mean = nodes.add('ReduceMean', [dense, 'last']);
      const centred = nodes.add('Sub', [dense, mean]);
      const variance = nodes.add('ReduceMean', [nodes.add('Mul', [centred, centred]), 'last']);
      const inverse = nodes.add('Reciprocal', [nodes.add('Sqrt', [nodes.add('Add', [variance, 'norm_epsilon'])])]);
      const hat = nodes.add('Mul', [centred, inverse]);
      z = nodes.add('Add', [nodes.add('Mul', [hat, `gamma${i}`]), `beta${i}`]);
      norm = { inverse, hat };
      for (const [name, now] of [
        [`mean${i}`, mean],
        [`variance${i}`, variance],
      ] as const) {
        const old = nodes.add('Mul', [name, 'norm_keep']);
        nodes.add('Add', [old, nodes.add('Mul', [now, 'norm_take'])], {}, `${name}_next`);
      }
    }
    const a = addActivation(nodes, spec.activation, z);
    const out = spec.dropout ? drop(a, `noise${i}`, [hidden[i] as number, 'B']) : undefined;
    trace.push({ input, z, a, ...(norm ? { norm } : {}), ...(out ? { mask: out.mask } : {}) });
    input = out?.kept ?? a;
  }

  // Loss.
  const hard = addTargets(nodes, ending);
  let target = hard;
  if (spec.labelSmoothing) {
    target = nodes.add('Add', [nodes.add('Mul', [hard, column('sharp')]), column('spread')]);
  }
  const loss = addLoss(nodes, ending, logits, target);
  let { losses, delta } = loss;
  if (spec.classWeight) {
    const weight =
      ending === 'softmax'
        ? nodes.add('MatMul', [ask(perRun, 'class_weights', ['H', 1, units]), hard]) // [H, 1, B]
        : nodes.add('Add', [
            nodes.add('Mul', [hard, ask(perRun, 'weight_slope', unitColumn(spec))]),
            ask(perRun, 'weight_base', unitColumn(spec)),
          ]);
    losses = nodes.add('Mul', [losses, weight]);
    delta = nodes.add('Mul', [delta, weight]);
  }
  const axes = isFlatHead(spec) ? 'last' : 'both';
  nodes.add('ReduceSum', [losses, axes], { keepdims: { i: 0 } }, 'loss'); // [H]
  delta = nodes.add('Mul', [delta, 'share']);

  // Backward.
  const gradients = new Map<string, string>();
  for (let i = layers - 1; i >= 0; i--) {
    const layer = trace[i] as Layer;
    if (i < layers - 1) {
      if (layer.mask) delta = nodes.add('Mul', [delta, layer.mask]);
      delta = addDerivative(nodes, spec.activation, layer.z, layer.a, delta);
      if (layer.norm) {
        const { inverse, hat } = layer.norm;
        const along = nodes.add('Mul', [delta, hat]);
        gradients.set(`gamma${i}`, nodes.add('ReduceSum', [along, 'last']));
        gradients.set(`beta${i}`, nodes.add('ReduceSum', [delta, 'last']));
        const inner = nodes.add('Mul', [delta, `gamma${i}`]);
        const level = nodes.add('Sub', [inner, nodes.add('ReduceMean', [inner, 'last'])]);
        const tilt = nodes.add('Mul', [hat, nodes.add('ReduceMean', [nodes.add('Mul', [inner, hat]), 'last'])]);
        delta = nodes.add('Mul', [nodes.add('Sub', [level, tilt]), inverse]);
      }
    }
    if (i > 0) {
      gradients.set(`kernel${i}`, nodes.add('MatMul', [delta, transposed(nodes, layer.input)]));
      if (!isNormed(i)) gradients.set(`bias${i}`, nodes.add('ReduceSum', [delta, 'last']));
      delta = nodes.add('MatMul', [transposed(nodes, `kernel${i}`), delta]);
    } else {
      if (!isFlatHead(spec)) shapes.push(value('joined', [2], 'int64'));
      const flat = isFlatHead(spec) ? delta : nodes.add('Reshape', [delta, 'joined']);
      if (!isNormed(0)) gradients.set('bias0', nodes.add('ReduceSum', [flat, 'last']));
      if (dropped === undefined) {
        gradients.set('kernel0', nodes.add('Gemm', [flat, x]));
      } else {
        shapes.push(value('kernel_joined', [2], 'int64'));
        gradients.set('kernel0', nodes.add('Reshape', [nodes.add('MatMul', [delta, dropped]), 'kernel_joined']));
      }
    }
  }

  // Steps.
  const variables = variablesOf(spec);
  for (const variable of variables.filter(isTrained)) {
    const { name, kind } = variable;
    let gradient = gradients.get(name) as string;
    if (kind === 'kernel' && spec.l2) {
      gradient = nodes.add('Add', [gradient, nodes.add('Mul', [name, beside(perRun, 'l2', variable)])]);
    }
    if (kind === 'kernel' && spec.l1) {
      const sign = nodes.add('Sign', [name]);
      gradient = nodes.add('Add', [gradient, nodes.add('Mul', [sign, beside(perRun, 'l1', variable)])]);
    }
    const weights = spec.weightDecay ? nodes.add('Mul', [name, beside(perStep, 'keep', variable)]) : name;
    addUpdate(nodes, spec, {
      name,
      weights,
      gradient,
      rate: beside(perStep, 'rate', variable),
      momentum: () => beside(perRun, 'momentum', variable),
    });
  }

  const states = variables.flatMap((variable) =>
    [variable.name, ...slotsOf(spec, variable).map((slot) => `${variable.name}_${slot}`)].map((name) => ({
      name,
      dims: dimsOf(variable),
    })),
  );
  const body: OnnxGraph = {
    name: 'step',
    nodes: nodes.list,
    initializers: [],
    inputs: [...states.map(({ name, dims }) => value(name, dims)), ...perStep],
    outputs: [...states.map(({ name, dims }) => value(`${name}_next`, dims)), value('loss', ['H'])],
  };
  return {
    name: 'epoch',
    nodes: [
      {
        op: 'Scan',
        inputs: [...states.map(({ name }) => `${name}_in`), ...perStep.map(({ name }) => `${name}_all`)],
        outputs: [...states.map(({ name }) => `${name}_out`), 'losses'],
        attributes: { body, num_scan_inputs: { i: perStep.length } },
      },
    ],
    initializers: [
      ...constants(units),
      ...STEP_SIZES[spec.optimizer],
      int64s('both', [-1, -2]),
      floats('norm_epsilon', [], [BATCH_NORM.epsilon]),
      floats('norm_keep', [], [BATCH_NORM.momentum]),
      floats('norm_take', [], [1 - BATCH_NORM.momentum]),
    ],
    inputs: [
      ...states.map(({ name, dims }) => value(`${name}_in`, dims)),
      ...perStep.map(({ name, dims, type }) => value(`${name}_all`, ['S', ...dims], type)),
      value('features', ['n', spec.d]),
      ...shapes,
      ...perRun,
    ],
    outputs: [...states.map(({ name, dims }) => value(`${name}_out`, dims)), value('losses', ['S', 'H'])],
  };
}

/** Loss of each row and head, and whether it is answered rightly (of several sigmoids the share); vectors are raw. */
export function evaluationGraph(spec: NetSpec): OnnxGraph {
  const nodes = new Nodes();
  let x = nodes.add('Gather', ['features', 'rows'], { axis: { i: 0 } });
  if (spec.normalize) x = addNormalize(nodes, x);
  let z = nodes.add('Gemm', ['kernel0', x, 'bias0'], { transB: { i: 1 } });
  z = nodes.add('Reshape', [z, 'apart']); // [H, out, B]
  spec.hidden.forEach((_, i) => {
    const a = addActivation(nodes, spec.activation, z);
    z = nodes.add('Add', [nodes.add('MatMul', [`kernel${i + 1}`, a]), `bias${i + 1}`]);
  });
  const target = addTargets(nodes, spec.ending);
  const { losses } = addLoss(nodes, spec.ending, z, target);
  nodes.add('ReduceMean', [losses, 'second'], { keepdims: { i: 0 } }, 'losses');
  const outputs = [value('losses', ['H', 'B'])];
  if (spec.ending !== 'linear') {
    const answer =
      spec.ending === 'sigmoid' ? nodes.add('Greater', [z, 'zero']) : nodes.add('ArgMax', [z], { axis: { i: -2 } });
    const right = nodes.add('Equal', [nodes.add('Cast', [answer], { to: { i: 1 } }), 'targets']);
    nodes.add('ReduceMean', [nodes.add('Cast', [right], { to: { i: 1 } }), 'second'], { keepdims: { i: 0 } }, 'hits');
    outputs.push(value('hits', ['H', 'B']));
  }
  return {
    name: 'evaluation',
    nodes: nodes.list,
    initializers: constants(spec.units),
    inputs: [
      value('features', ['n', spec.d]),
      value('rows', ['B'], 'int32'),
      value('targets', [targetWidth(spec), 'B']),
      value('apart', [3], 'int64'),
      ...variablesOf(spec).map((variable) => value(variable.name, dimsOf(variable))),
    ],
    outputs,
  };
}
