import { Nodes, value } from '../../formats/onnx/nodes.js';
import { floats, type OnnxGraph, type ValueInfo } from '../../formats/onnx/write.js';
import { addActivation, addNormalize } from '../head-model.js';
import type { Activation } from '../head-net.js';
import { BATCH_NORM, type PackSpec, targetWidth, type Variable, variablesOf } from '../net-spec.js';
import { AXES, addLosses, addSums, isFlatHead } from './head-losses.js';
import { constants, dimsOf } from './loss-nodes.js';
import { addUpdate, SLOTS, type Slot, STEP_SIZES } from './optimizers.js';

/** Whether an optimizer moves it; the others follow the batches. */
const isTrained = ({ kind }: Variable): boolean => kind !== 'mean' && kind !== 'variance';

/** @returns the names of what the optimizer keeps of a variable */
export const slotsOf = (spec: PackSpec, variable: Variable): Slot[] =>
  isTrained(variable)
    ? SLOTS[spec.optimizer].filter((slot) => slot !== 'momentum' || spec.momentum || spec.optimizer === 'adam')
    : [];

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
  const { hidden, units } = spec;
  const nodes = new Nodes();
  const perStep: ValueInfo[] = [
    value('rows', ['B'], 'int32'),
    value('targets', isFlatHead(spec) ? ['T', 'B'] : ['T', targetWidth(spec), 'B']), // T is 1 where all heads have the same
  ];
  const perRun: ValueInfo[] = [value('share', [])];
  const ask = (list: ValueInfo[], name: string, dims: readonly (number | string)[]): string => {
    if (!list.some((one) => one.name === name)) list.push(value(name, dims));
    return name;
  };
  /** A number a head, as a column beside a variable. */
  const beside = (list: ValueInfo[], name: string, { flat, out }: Variable): string =>
    flat ? ask(list, `${name}_rows`, [`R${out}`, 1]) : ask(list, `${name}_heads`, ['H', 1, 1]);

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

  // How far off: the loss of all steps is measured after the loop, at once.
  let delta = nodes.add('Mul', [addLosses(nodes, spec, ask.bind(null, perRun), logits, 'targets').delta, 'share']);

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
  const outputs = [
    ...states.map(({ name, dims }) => value(`${name}_next`, dims)),
    value(logits, isFlatHead(spec) ? ['H', 'B'] : ['H', units, 'B']),
  ];
  const body: OnnxGraph = {
    name: 'step',
    nodes: nodes.for(outputs.map(({ name }) => name)),
    initializers: [],
    inputs: [...states.map(({ name, dims }) => value(name, dims)), ...perStep],
    outputs,
  };
  const after = new Nodes('l');
  addSums(after, spec, ask.bind(null, perRun));
  return {
    name: 'epoch',
    nodes: [
      {
        op: 'Scan',
        inputs: [...states.map(({ name }) => `${name}_in`), ...perStep.map(({ name }) => `${name}_all`)],
        outputs: [...states.map(({ name }) => `${name}_out`), 'logits'],
        attributes: { body, num_scan_inputs: { i: perStep.length } },
      },
      ...after.for(['losses']),
    ],
    initializers: [
      ...constants(units),
      ...STEP_SIZES[spec.optimizer],
      ...AXES,
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
