import ort from '../../engine/onnx/runtime.js';
import { createSession } from '../../engine/onnx/session.js';
import { Nodes, value } from '../../formats/onnx/nodes.js';
import type { OnnxGraph } from '../../formats/onnx/write.js';
import { addActivation, addNormalize } from '../head-model.js';
import type { HeadNet } from '../head-net.js';
import { type NetSpec, targetWidth, variablesOf } from '../net-spec.js';
import type { VectorBlock } from '../vectors.js';
import { addLoss, addTargets, constants, dimsOf } from './loss-nodes.js';
import { featuresOf, runSession, shape, tensor } from './tensors.js';

/** Multiplications of one call, so that it does not hold the JavaScript thread for long. */
const CHUNK_WORK = 2 ** 26;

/** Loss of each row and head, and whether it is answered rightly (of several sigmoids the share); vectors are raw. */
function evaluationGraph(spec: NetSpec): OnnxGraph {
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
      value('targets', ['T', targetWidth(spec), 'B']),
      value('apart', [3], 'int64'),
      ...variablesOf(spec).map((variable) => value(variable.name, dimsOf(variable))),
    ],
    outputs,
  };
}

/** Measures nets of one shape on raw vectors, together. */
export class NetEvaluator {
  private constructor(
    private readonly spec: NetSpec,
    private readonly session: ort.InferenceSession,
  ) {}

  /** @param spec a pack's will do: batch norms are folded in nets, and not looked for */
  static async create(spec: NetSpec, threads = 1): Promise<NetEvaluator> {
    const { d, hidden, activation, units, ending, normalize } = spec;
    const net = { d, hidden, activation, units, ending, normalize };
    return new NetEvaluator(net, await createSession(evaluationGraph(net), { threads }));
  }

  /**
   * @param targets those of all nets, or of each
   * @returns for each net the sums over the rows of its loss and of its right answers (none for `linear`: NaN)
   */
  async evaluate(
    nets: readonly HeadNet[],
    block: VectorBlock,
    targets: readonly ArrayLike<number>[],
  ): Promise<{ loss: number; hits: number }[]> {
    const { spec } = this;
    const { d } = spec;
    const width = targetWidth(spec);
    const count = nets.length;
    const variables = variablesOf(spec);
    const weights: Record<string, ort.Tensor> = {};
    for (const { name, kind, out, width: columns, flat } of variables) {
      const layer = Number(name.replace(/\D+/, ''));
      const size = out * columns;
      const values = new Float32Array(count * size);
      nets.forEach(({ layers }, h) => {
        const dense = layers[layer];
        if (dense) values.set(kind === 'kernel' ? dense.kernel : dense.bias, h * size);
      });
      weights[name] = tensor(values, flat ? [count * out, columns] : [count, out, columns]);
    }
    const work = count * [d, ...spec.hidden].reduce((sum, from, i) => sum + from * (spec.hidden[i] ?? spec.units), 0);
    const rows = Math.max(1, Math.floor(CHUNK_WORK / work));
    const first = spec.hidden[0] ?? spec.units;
    const results = nets.map(() => ({ loss: 0, hits: spec.ending === 'linear' ? Number.NaN : 0 }));
    for (let from = 0; from < block.at.length; from += rows) {
      const at = block.at.subarray(from, from + rows);
      const wanted = new Float32Array(targets.length * at.length * width);
      let i = 0;
      for (const all of targets) {
        for (let k = 0; k < width; k++) {
          for (let b = 0; b < at.length; b++) wanted[i++] = all[(block.rows[from + b] as number) * width + k] as number;
        }
      }
      const taken = featuresOf(block.x, d, at);
      const result = await runSession(this.session, {
        ...weights,
        features: taken.features,
        rows: new ort.Tensor('int32', taken.rows, [at.length]),
        targets: tensor(wanted, [targets.length, width, at.length]),
        apart: shape(count, first, at.length),
      });
      const losses = result('losses').data as Float32Array;
      const hits = spec.ending === 'linear' ? undefined : (result('hits').data as Float32Array);
      results.forEach((one, h) => {
        for (let i = h * at.length; i < (h + 1) * at.length; i++) {
          one.loss += losses[i] as number;
          if (hits) one.hits += hits[i] as number;
        }
      });
    }
    return results;
  }

  async release(): Promise<void> {
    await this.session.release();
  }
}
